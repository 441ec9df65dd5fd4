"""JSON read strictly (RFC 8259, and RFC 7493 where senders and readers commonly disagree)."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from backend.lib import languages, pointers
from backend.lib.inputs import text_fault
from backend.lib.problems import FieldError, Problem

MAX_DEPTH = 64
MAX_FAULTS = 50
_EXACT = 2**53 - 1
_MAX_DIGITS = 400
_MAX_POINTER = 1000
# Possessive, so that a long string leaves nothing behind to come back to.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_CONSTANTS = re.compile(rf"{_STRING}|NaN|-?Infinity")
_NAMES = re.compile(rf"(?P<name>{_STRING})(?=[ \t\r\n]*:)|{_STRING}|[{{}}\[\]]")
Model = TypeVar("Model", bound=BaseModel)
MAX_ERRORS = MAX_FAULTS


class _DuplicateMember(Exception):
    """A member name that stands twice in one object."""


class _NoJsonValue(Exception):
    """A word that JavaScript takes for a number and JSON does not."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _DuplicateMember
    return members


def _constant(name: str) -> NoReturn:
    raise _NoJsonValue(name)


def _integer(digits: str) -> int | float:
    """Read an integer; one far beyond what a reader can keep becomes infinite, which ``faults`` refuses."""
    return int(digits) if len(digits) <= _MAX_DIGITS else float("-inf" if digits.startswith("-") else "inf")


def _fraction(text: str) -> int | float:
    """Read a number as its canonical form will be read again: 1.0 is 1."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) <= _EXACT else number


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_fraction
)


def parse(raw: bytes) -> Any:
    """Parse one JSON text.

    Raises:
        Problem: ``malformed_json`` or ``duplicate_member``, with line and column (both from 1).
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        detail = f"The body is not UTF-8 at {_position(before, len(before))} (byte {error.start + 1} of the body)."
        raise _malformed(detail) from error
    if text.startswith("\ufeff"):
        raise _malformed("The body begins with a byte order mark (line 1, column 1); send UTF-8 without one.")
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise _malformed(_sentence(error, text)) from error
    except _DuplicateMember as error:
        name, position = _second_name(text)
        detail = f"The member {_quoted(name)} stands twice in one object, again at {position}."
        raise Problem("duplicate_member", detail, errors=[FieldError("", "duplicate_member", detail)]) from error
    except _NoJsonValue as error:
        raise _malformed(f"Malformed JSON at {_constant_position(text)}: {error} is no JSON value.") from error
    except RecursionError as error:
        raise too_deep() from error


def _malformed(detail: str) -> Problem:
    return Problem("malformed_json", detail, errors=[FieldError("", "malformed_json", detail)])


def too_deep() -> Problem:
    """Refuse a text that is nested too deeply to be read at all."""
    return _malformed(f"The body is nested much deeper than the {MAX_DEPTH} levels that are allowed.")


def _sentence(error: json.JSONDecodeError, text: str) -> str:
    position = f"line {error.lineno}, column {error.colno}"
    if not text.strip():
        return f"The body is empty ({position}); send one JSON object."
    before = text[: error.pos].rstrip()
    if error.pos < len(text) and text[error.pos] in "}]" and before.endswith(","):
        return f"Malformed JSON at {position}: a comma stands before the closing {text[error.pos]!r}."
    if before.endswith(",") and "property name" in error.msg:
        return f"Malformed JSON at {position}: a member name in double quotes must follow the comma."
    reason = error.msg[:1].lower() + error.msg[1:]
    return f"Malformed JSON at {position}: {reason}."


def _position(text: str, position: int) -> str:
    line_start = text.rfind("\n", 0, position) + 1
    return f"line {text.count(chr(10), 0, position) + 1}, column {position - line_start + 1}"


def _constant_position(text: str) -> str:
    """Find the first NaN or Infinity outside of strings; the parser tells its name alone."""
    return next(_position(text, token.start()) for token in _CONSTANTS.finditer(text) if token[0][0] != '"')


def _second_name(text: str) -> tuple[str, str]:
    """Find the first member name that its object had before, and its place, which the parser does not tell."""
    objects: list[set[str]] = []
    for token in _NAMES.finditer(text):
        if token[0] in "{[":
            objects.append(set())
        elif token[0] in "}]":
            objects.pop()
        elif token["name"]:
            name = json.loads(token["name"])
            if name in objects[-1]:
                return name, _position(text, token.start())
            objects[-1].add(name)
    raise AssertionError("The parser found a second name.")


def faults(value: Any) -> list[FieldError]:
    """Find what parses but cannot be kept exactly: too deep, numbers out of range, NUL or half characters in text.

    The first 50 are enough to go on with.
    """
    found: list[FieldError] = []
    _walk(value, [], found)
    return found


def _walk(value: Any, path: list[str | int], found: list[FieldError]) -> None:
    """Look at a value and all in it; the pointer is written only where something is wrong, for names may be long."""
    if isinstance(value, str):
        _found(text_fault(value), path, found)
    elif isinstance(value, dict | list):
        if len(path) >= MAX_DEPTH:
            _found(f"Nested deeper than {MAX_DEPTH} levels.", path, found)
            return
        for key, member in value.items() if isinstance(value, dict) else enumerate(value):
            if len(found) >= MAX_FAULTS:
                return
            path.append(key)
            if isinstance(key, str):
                _found(text_fault(key), path, found)
            _walk(member, path, found)
            path.pop()
    elif isinstance(value, int | float) and not isinstance(value, bool) and not _representable(value):
        _found("The number cannot be kept exactly by every JSON reader; send it as a string.", path, found)


def _found(detail: str | None, path: list[str | int], found: list[FieldError]) -> None:
    if detail is not None and len(found) < MAX_FAULTS:
        found.append(FieldError(pointer(path), "invalid_value", detail))


def _representable(number: float) -> bool:
    """Tell whether a number survives IEEE 754: a finite one, or an integer within ±(2^53 - 1) (RFC 7493)."""
    return -_EXACT <= number <= _EXACT if isinstance(number, int) else abs(number) != float("inf")


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\u0000")


def _quoted(name: str) -> str:
    return json.dumps(name[:80])


def escape(name: str) -> str:
    """Escape a member name for a JSON Pointer (RFC 6901)."""
    return _printable(name.replace("~", "~0").replace("/", "~1"))


def pointer(path: Sequence[str | int]) -> str:
    """Write a JSON Pointer (RFC 6901); one of hostile length is cut, so that no answer outgrows its request."""
    whole = "".join(f"/{escape(str(part)[:_MAX_POINTER])}" for part in path)
    return whole[:_MAX_POINTER]


# Data checked against a pydantic model, every fault at once, each with its JSON pointer and a plain sentence.


class Shape(BaseModel):
    """A request body: JSON types are taken as they are, and unknown members are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


# The tag of a language, brought to its usual spelling.
LanguageTag = Annotated[
    str,
    Field(min_length=2, max_length=languages.MAX_LENGTH, json_schema_extra={"examples": ["de"]}),
    AfterValidator(languages.language_tag),
]
_CODES = {
    "missing": "missing_member",
    "extra_forbidden": "unknown_member",
    "string_type": "invalid_type",
    "int_type": "invalid_type",
    "float_type": "invalid_type",
    "bool_type": "invalid_type",
    "list_type": "invalid_type",
    "dict_type": "invalid_type",
    "model_type": "invalid_type",
    "model_attributes_type": "invalid_type",
}
_TYPES = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def check(model: type[Model], data: Any, *, plain: bool = False) -> Model:
    """Return ``data`` as ``model``; ``plain`` says that ``plain_json.read`` called its text so.

    Raises:
        Problem: ``invalid_request`` with one error for each fault, at most 50.
    """
    errors = [] if plain else faults(data)
    if errors:
        raise invalid(errors)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise invalid([_field_error(detail) for detail in found[:MAX_ERRORS]], len(found)) from error


def invalid(errors: list[FieldError], count: int | None = None) -> Problem:
    """Say in one sentence how many places are wrong and what the first is.

    ``count`` is the number of faults where ``errors`` holds only the first of them.
    """
    number = count or len(errors)
    others = "" if number == 1 else f" There are {number - 1} more faults." if number > 2 else " There is 1 more fault."
    detail = f"The request does not follow the schema: {pointers.sentence(errors[0])}.{others}"
    return Problem("invalid_request", detail, errors=errors[:MAX_ERRORS])


def _field_error(fault: ErrorDetails) -> FieldError:
    kind = fault["type"]
    return FieldError(pointer(fault["loc"]), _CODES.get(kind, "invalid_value"), _shape_sentence(kind, fault))


def _shape_sentence(kind: str, fault: ErrorDetails) -> str:
    context: Mapping[str, Any] = fault.get("ctx") or {}
    name = str(fault["loc"][-1])[:80] if fault["loc"] else "body"
    if kind in _TYPES:
        return f"Must be {_TYPES[kind]}."
    sentences = {
        "missing": f"The member {name!r} is missing.",
        "extra_forbidden": f"The member {name!r} is not known here.",
        "literal_error": f"Must be one of {context.get('expected')}.",
        "enum": f"Must be one of {context.get('expected')}.",
        "string_too_short": f"Must have at least {context.get('min_length')} characters.",
        "string_too_long": f"Must have at most {context.get('max_length')} characters.",
        "too_short": f"Must have at least {context.get('min_length')} entries.",
        "too_long": f"Must have at most {context.get('max_length')} entries.",
        "string_pattern_mismatch": "Must have the form that the API documentation shows.",
        "greater_than_equal": f"Must be at least {context.get('ge')}.",
        "less_than_equal": f"Must be at most {context.get('le')}.",
        "greater_than": f"Must be greater than {context.get('gt')}.",
        "value_error": str(context.get("error", fault["msg"])),
    }
    return sentences.get(kind, fault["msg"].rstrip(".") + ".")
