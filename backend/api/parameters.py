"""Parameters of the query: unknown ones are refused by name, pages continue at an opaque cursor."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any, TypeVar

from litestar.connection import ASGIConnection
from litestar.params import Parameter
from litestar.typing import FieldDefinition

from backend.lib import inputs, strict_json
from backend.lib.problems import FieldError, Problem
from backend.lib.strict_json import escape

_Key = TypeVar("_Key", str, int)
_Row = TypeVar("_Row")
PLUS = "In an address, + is written %2B: by itself it stands for a space."
A_MOMENT = "Must be a moment with its offset, such as 2026-11-21T09:30:00Z."
Limit = Annotated[int, Parameter(ge=1, le=100, description="How many entries to answer at most.")]
Cursor = Annotated[
    str | None,
    Parameter(
        max_length=1024,
        description="Where to continue: the `next_cursor` of the page before. Opaque; pass it unchanged.",
    ),
]
# What msgspec says of a value, and what we say instead.
_SENTENCES = (
    (re.compile(r"Expected `int` >= (-?\d+)"), "Must be at least {}."),
    (re.compile(r"Expected `int` <= (-?\d+)"), "Must be at most {}."),
    (re.compile(r"Expected `int"), "Must be a whole number."),
    (re.compile(r"Expected `str` of length <= (\d+)"), "Must have at most {} characters."),
    (re.compile(r"Expected `str` of length >= (\d+)"), "Must have at least {} characters."),
    (re.compile(r"Expected `datetime|Invalid RFC3339"), A_MOMENT),
)


def sentence(message: str, field: FieldDefinition | None) -> str:
    """Say in a plain sentence what the framework found wrong with a parameter; ``field`` is its declaration."""
    words = [str(word) for one in (field.inner_types if field else ()) if one.is_literal for word in one.args]
    if words and message.startswith("Invalid enum value"):
        return f"Must be one of {', '.join(words)}."
    for pattern, ours in _SENTENCES:
        if found := pattern.search(message):
            return ours.format(*found.groups())
    return message


def wrong(name: str, detail: str) -> str:
    """Say in a sentence which parameter is wrong, and how."""
    return f"The parameter {name[:80]!r} cannot be used: {detail}"


def check_names(connection: ASGIConnection[Any, Any, Any, Any], allowed: Collection[str]) -> None:
    """Refuse parameters of the query that are not ``allowed``, and doubled ones.

    Raises:
        Problem: ``invalid_request`` with one error for each, its pointer being ``/name``.
    """
    errors = []
    given = connection.query_params
    for name in dict.fromkeys(given.keys()):
        if name not in allowed:
            detail = f"The parameter {name[:80]!r} is not known here."
            errors.append(FieldError(f"/{escape(name)}", "unknown_member", detail))
        elif len(given.getall(name)) > 1:
            errors.append(
                FieldError(f"/{escape(name)}", "invalid_value", f"The parameter {name[:80]!r} stands there twice.")
            )
    if errors:
        raise strict_json.invalid(errors)


def write_cursor(*parts: str | int) -> str:
    """Write the cursor behind an entry, named by the values that its list is ordered by."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def read_cursor(cursor: str, *kinds: type[str] | type[int], name: str = "cursor") -> tuple[Any, ...]:
    """Return the values of a cursor, one of each kind.

    Raises:
        Problem: ``invalid_request`` for what ``write_cursor`` never wrote for such a list.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise bad_cursor(name) from error
    if not isinstance(parts, list) or tuple(type(part) for part in parts) != kinds:
        raise bad_cursor(name)
    if any(_unusable(part) for part in parts):
        raise bad_cursor(name)
    return tuple(parts)


def _unusable(part: str | int) -> bool:
    """Tell what a database would choke on."""
    return abs(part) > inputs.LARGEST if isinstance(part, int) else inputs.word(part, len(part)) is None


def after(cursor: str | None, kind: type[_Key]) -> _Key | None:
    """Return the one value that a list continues behind, None for its beginning; faults are as in ``read_cursor``."""
    return None if cursor is None else read_cursor(cursor, kind)[0]


def next_cursor(last: str | int | None) -> str | None:
    """Write the cursor behind the last entry of a page; None where nothing follows."""
    return None if last is None else write_cursor(last)


def cut(found: Sequence[_Row], limit: int, key: Callable[[_Row], str | int]) -> tuple[Sequence[_Row], str | None]:
    """Return a page, of which one entry more than ``limit`` was read, and the cursor behind it if that was there."""
    shown = found[:limit]
    return shown, next_cursor(key(shown[-1]) if len(found) > limit else None)


def bad_cursor(name: str = "cursor") -> Problem:
    """Refuse a cursor, which came as the parameter of this name."""
    given = "next_cursor" if name == "cursor" else f"one in the links for {name}"
    detail = f"Must be the {given} of the page before, unchanged."
    return strict_json.invalid([FieldError(f"/{name}", "invalid_value", detail)])
