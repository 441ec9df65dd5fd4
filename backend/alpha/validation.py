"""Request bodies: JSON with one root element, checked against a schema in the alpha's words."""

import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft4Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from litestar import Request

from backend.alpha.faults import AlphaFault, refuse
from backend.lib import strict_json
from backend.lib.problems import Problem


def _pattern(_validator: object, pattern: str, instance: object, _schema: object) -> Iterator[ValidationError]:
    """Match to the very end: ``$`` would let a line break follow, and ``\\d`` digits of every script."""
    if isinstance(instance, str) and not re.fullmatch(pattern.removesuffix("$"), instance, re.ASCII):
        yield ValidationError("")


_Validator = extend(Draft4Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call] # its stubs leave it out
# The library words some messages otherwise today than it did when the alpha's clients were written.
_WORDS = {
    "minLength": "{0!r} is too short",
    "maxLength": "{0!r} is too long",
    "pattern": "{0!r} does not match {1!r}",
    "type": "{0!r} is not of type {1!r}",
}


async def read(request: Request[Any, Any, Any], root: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the root element of a body that follows the schema.

    Raises:
        AlphaFault: 400.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        refuse(400, "Unexpected Content-Type, expecting 'application/json'")
    try:
        body = strict_json.parse(await request.body())
    except Problem as problem:
        refuse(400, problem.detail)
    if not isinstance(body, dict) or root not in body:
        refuse(400, f"Invalid JSON; must have {root} as root element")
    element = body[root]
    if details := _details(root, element, schema):
        raise AlphaFault(400, {"error": "Invalid JSON", "error_details": details})
    checked: dict[str, Any] = element
    return checked


def invalid(key: str, message: str) -> AlphaFault:
    """Say that one field cannot be what it is."""
    return AlphaFault(400, {"error": "Invalid JSON", "error_details": [{"key": key, "message": message}]})


def _details(root: str, element: object, schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Say each faulty field once, by name, and then what is missing."""
    fields: dict[str, str] = {}
    required: list[str] = []
    for error in _Validator(schema).iter_errors(element):
        if error.validator == "required":
            required.append(error.message)
        elif error.validator == "additionalProperties":
            unknown = (
                [name for name in element if name not in schema["properties"]] if isinstance(element, dict) else []
            )
            for name in unknown:
                fields.setdefault(_written(name), f"Additional properties are not allowed ({name!r} was unexpected)")
        else:
            key = str(error.path[0]) if error.path else root
            fields.setdefault(key, _message(key, error))
    fields = _unkeepable(element) | fields
    details: list[dict[str, Any]] = [{"key": key, "message": fields[key]} for key in sorted(fields)]
    return [*details, {"required": required}] if required else details


def _unkeepable(element: object) -> dict[str, str]:
    """Say which texts no database keeps: with U+0000, or halves of characters. Passwords have a check of their own."""
    texts = element.items() if isinstance(element, dict) else ()
    return {
        _written(name): found[0].detail
        for name, text in texts
        if isinstance(text, str) and name != "password" and (found := strict_json.faults(text))
    }


def _written(name: str) -> str:
    """Write a field's name as it can be answered: half a character has no form in UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def _message(key: str, error: ValidationError) -> str:
    if key == "password":
        return "Invalid password"
    return _WORDS[str(error.validator)].format(error.instance, error.validator_value)
