"""What a form asks for a message: the variables of its template, each of the kind that the sample fields show."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Literal

import msgspec

from backend.lib import strict_json
from backend.lib.problems import Problem
from backend.rendering.fields_read import FieldsRead

Kind = Literal["text", "lines", "number", "date", "boolean", "list", "object"]

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,15}(?:[.,]\d{1,15})?", re.ASCII)
_LONG = 80
_EXAMPLE = 200
_BLANK: Mapping[type, Kind] = {dict: "object", list: "list"}


class Variable(msgspec.Struct, frozen=True):
    """One variable; ``example`` is a sample's value as a person would write it, empty where no sample has it."""

    name: str
    kind: Kind
    needed: bool
    example: str

    def read(self, text: str) -> object:
        """Return the value that a form's text says, of the variable's kind.

        Raises:
            Problem: ``invalid_value`` with a sentence that says what is wanted.
        """
        match self.kind:
            case "number":
                return _number(text)
            case "date":
                return _date(text)
            case "boolean":
                return text == "true"
            case "list" | "object":
                return _json(text, self.kind)
            case _:
                return text.replace("\r\n", "\n")


def variables(read: FieldsRead, samples: Sequence[object]) -> list[Variable]:
    """List what a template reads and what its samples have besides: what it needs first, each group by name."""
    objects = [one for one in samples if isinstance(one, dict)]
    names = read.needed | read.optional | {name for one in objects for name in one}
    needed = read.needed - read.conditional
    found = [_variable(name, list(_values(name, objects)), needed=name in needed) for name in names]
    return sorted(found, key=lambda one: (not one.needed, one.name))


def _values(name: str, samples: Sequence[Mapping[str, object]]) -> Iterator[object]:
    yield from (one[name] for one in samples if one.get(name) is not None)


def _variable(name: str, values: Sequence[object], *, needed: bool) -> Variable:
    kinds = {_kind(value) for value in values}
    if kinds == {"text", "lines"}:
        kinds = {"lines"}
    kind: Kind = kinds.pop() if len(kinds) == 1 else "text"
    return Variable(name, kind, needed and kind != "boolean", _written(values[0]) if values else "")


def _kind(value: object) -> Kind:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        if _DATE.fullmatch(value):
            return "date"
        return "lines" if "\n" in value or len(value) > _LONG else "text"
    return _BLANK.get(type(value), "text")


def _written(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _EXAMPLE else text[:_EXAMPLE] + "…"


def _number(text: str) -> int | float:
    written = text.strip()
    if not _NUMBER.fullmatch(written):
        raise Problem("invalid_value", "Write a number, such as 12 or 3.5.")
    number = float(written.replace(",", "."))
    if not math.isfinite(number):
        raise Problem("invalid_value", "Write a number that is not as large.")
    return int(number) if number.is_integer() else number


def _date(text: str) -> str:
    written = text.strip()
    with suppress(ValueError):
        if _DATE.fullmatch(written):
            return date.fromisoformat(written).isoformat()
    raise Problem("invalid_value", "Write a date as year, month and day, such as 2026-03-09.")


def _json(text: str, kind: Literal["list", "object"]) -> object:
    wanted, example = (list, '["S-1", "S-2"]') if kind == "list" else (dict, '{"name": "S-1"}')
    try:
        value = strict_json.parse(text.encode("utf-8", "replace"))
    except Problem as problem:
        detail = problem.detail.replace("The body", "This")
        raise Problem("invalid_value", f"{detail} Write {_WORDS[kind]} as JSON, such as {example}.") from None
    if not isinstance(value, wanted):
        raise Problem("invalid_value", f"Write {_WORDS[kind]} as JSON, such as {example}.")
    if found := strict_json.faults(value):
        raise Problem("invalid_value", found[0].detail)
    return value


_WORDS = {"list": "a list in square brackets", "object": "an object in curly brackets"}
