"""Writing TOML: tables of texts, numbers and truths, which is all that these files hold (https://toml.io/en/v1.0.0)."""

import json
from collections.abc import Mapping, Sequence

Value = str | int | float | bool
Tables = Mapping[str, Value] | Sequence[Mapping[str, Value]]


def document(values: Mapping[str, Value | None], tables: Mapping[str, Tables] | None = None) -> str:
    """Write values, then a table for each mapping and a table of an array for each of a sequence's mappings.

    A value of None is left out.
    """
    parts = [_lines({name: value for name, value in values.items() if value is not None})]
    for name, table in (tables or {}).items():
        if isinstance(table, Mapping):
            parts.append(f"[{name}]\n{_lines(table)}")
        else:
            parts += [f"[[{name}]]\n{_lines(one)}" for one in table]
    return "\n".join(part for part in parts if part)


def _lines(values: Mapping[str, Value]) -> str:
    return "".join(f"{name} = {_value(value)}\n" for name, value in values.items())


def _value(value: Value) -> str:
    if isinstance(value, str):
        # The escapes of JSON are those of TOML, which wants one for DEL too.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
