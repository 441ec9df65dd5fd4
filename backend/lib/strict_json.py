"""JSON read strictly (RFC 8259, and RFC 7493 where senders and readers commonly disagree)."""

import json
from typing import Any, NoReturn

from backend.lib.problems import FieldError, Problem

MAX_DEPTH = 64
_EXACT = 2**53 - 1


class _DuplicateMember(ValueError):
    """A member name that stands twice in one object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        name = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _DuplicateMember(name)
    return members


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def parse(raw: bytes) -> Any:
    """Parse one JSON text.

    Raises:
        Problem: ``malformed_json`` with line and column (both from 1), or ``duplicate_member``.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _malformed(f"The body is not UTF-8 at line {line} (byte {error.start + 1} of the body).") from error
    if text.startswith("\ufeff"):
        raise _malformed("The body begins with a byte order mark (line 1, column 1); send UTF-8 without one.")
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise _malformed(_sentence(error, text)) from error
    except _DuplicateMember as error:
        name = str(error)
        raise Problem("duplicate_member", f"The member {_quoted(name)} stands twice in one object.") from error
    except RecursionError as error:
        raise _malformed(f"The body is nested deeper than {MAX_DEPTH} levels.") from error
    except ValueError as error:
        raise _malformed(f"The body holds what JSON does not allow: {error}.") from error


def _malformed(detail: str) -> Problem:
    return Problem("malformed_json", detail, errors=[FieldError("", "malformed_json", detail)])


def _sentence(error: json.JSONDecodeError, text: str) -> str:
    place = f"line {error.lineno}, column {error.colno}"
    if not text.strip():
        return f"The body is empty ({place}); send one JSON object."
    before = text[: error.pos].rstrip()
    if error.pos < len(text) and text[error.pos] in "}]" and before.endswith(","):
        return f"Malformed JSON at {place}: a comma stands before the closing {text[error.pos]!r}."
    if before.endswith(",") and "property name" in error.msg:
        return f"Malformed JSON at {place}: a member name in double quotes must follow the comma."
    reason = error.msg[:1].lower() + error.msg[1:]
    return f"Malformed JSON at {place}: {reason}."


def faults(value: Any) -> list[FieldError]:
    """Find what parses but cannot be kept exactly: too deep, numbers out of range, NUL or half characters in text."""
    found: list[FieldError] = []
    _walk(value, "", 1, found)
    return found


def _walk(value: Any, pointer: str, depth: int, found: list[FieldError]) -> None:
    if isinstance(value, str):
        _text(value, pointer, found)
    elif isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            found.append(FieldError(pointer, "invalid_value", f"Nested deeper than {MAX_DEPTH} levels."))
            return
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, member in pairs:
            below = f"{pointer}/{escape(str(key))}"
            if isinstance(key, str):
                _text(key, below, found)
            _walk(member, below, depth + 1, found)
    elif isinstance(value, int | float) and not isinstance(value, bool) and not _representable(value):
        detail = "The number cannot be kept exactly by every JSON reader; send it as a string."
        found.append(FieldError(pointer, "invalid_value", detail))


def _representable(number: float) -> bool:
    """Tell whether a number survives IEEE 754: a finite one, or an integer within ±(2^53 - 1) (RFC 7493)."""
    return -_EXACT <= number <= _EXACT if isinstance(number, int) else abs(number) != float("inf")


def _text(value: str, pointer: str, found: list[FieldError]) -> None:
    if "\x00" in value:
        found.append(FieldError(_printable(pointer), "invalid_value", "The character U+0000 is not allowed in text."))
    elif not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        detail = "The text holds half of a surrogate pair, which is no character."
        found.append(FieldError(_printable(pointer), "invalid_value", detail))


def _printable(pointer: str) -> str:
    return pointer.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\u0000")


def _quoted(name: str) -> str:
    return json.dumps(name[:80])


def escape(name: str) -> str:
    """Escape a member name for a JSON Pointer (RFC 6901)."""
    return _printable(name.replace("~", "~0").replace("/", "~1"))
