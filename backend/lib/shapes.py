"""Data checked against a pydantic model, every fault at once, each with its JSON pointer and a plain sentence."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from backend.lib import languages, pointers
from backend.lib.problems import FieldError, Problem
from backend.lib.strict_json import MAX_FAULTS, faults, pointer

Model = TypeVar("Model", bound=BaseModel)

MAX_ERRORS = MAX_FAULTS


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
    return FieldError(pointer(fault["loc"]), _CODES.get(kind, "invalid_value"), _sentence(kind, fault))


def _sentence(kind: str, fault: ErrorDetails) -> str:
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
