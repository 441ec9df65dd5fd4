"""What the documentation page shows, read out of the OpenAPI document: operations by tag, models, refusals."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

Document = Mapping[str, Any]
_METHODS = ("get", "put", "post", "patch", "delete")
_LIMITS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} entries",
    "maxItems": "at most {} entries",
    "minimum": "from {}",
    "maximum": "up to {}",
    "exclusiveMinimum": "more than {}",
    "pattern": "matches {}",
    "default": "without it {}",
    "format": "{}",
}


class Piece(msgspec.Struct, frozen=True):
    """A piece of a type as it is written: words, or the name of a model, which is a link."""

    text: str
    model: bool = False


class Member(msgspec.Struct, frozen=True):
    """A parameter or a member of a model: its type, what it is for, and within which limits."""

    name: str
    type: tuple[Piece, ...]
    description: str
    required: bool
    limits: str
    location: str = ""


class Body(msgspec.Struct, frozen=True):
    """What is sent or answered: its media type, its model, and an example as JSON, empty if there is none."""

    media_type: str
    type: tuple[Piece, ...]
    example: str


class Answer(msgspec.Struct, frozen=True):
    """An answer with its status; a refusal, which many operations share, is shown once, at ``shared``."""

    status: str
    description: str
    bodies: tuple[Body, ...]
    shared: str = ""


class Operation(msgspec.Struct, frozen=True):
    """One operation with a command that calls it."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    scopes: tuple[str, ...]
    parameters: tuple[Member, ...]
    bodies: tuple[Body, ...]
    answers: tuple[Answer, ...]
    command: str


class Section(msgspec.Struct, frozen=True):
    """The operations of one tag."""

    name: str
    description: str
    operations: tuple[Operation, ...]


class Model(msgspec.Struct, frozen=True):
    """A model with its members; one without members is a type by another name."""

    name: str
    description: str
    type: tuple[Piece, ...]
    members: tuple[Member, ...]


class Reference(msgspec.Struct, frozen=True):
    """The whole page."""

    description: str
    version: str
    sections: tuple[Section, ...]
    refusals: tuple[tuple[str, Answer], ...]
    models: tuple[Model, ...]


def reference(document: Document) -> Reference:
    """Read what the page shows out of the OpenAPI document."""
    return _Reader(document).read()


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._parts = document["components"]
        self._base = document["servers"][0]["url"]

    def read(self) -> Reference:
        found = [
            (operation["tags"][0], self._operation(path, method, operation))
            for path, item in self._document["paths"].items()
            for method, operation in item.items()
            if method in _METHODS
        ]
        tags = self._document["tags"]
        return Reference(
            self._document["info"]["description"],
            self._document["info"]["version"],
            tuple(
                Section(
                    tag["name"], tag.get("description", ""), tuple(one for name, one in found if name == tag["name"])
                )
                for tag in tags
            ),
            tuple((name, self._answer("", one)) for name, one in self._parts["responses"].items()),
            tuple(self._model(name, schema) for name, schema in self._parts["schemas"].items()),
        )

    def _operation(self, path: str, method: str, operation: Document) -> Operation:
        bodies = tuple(self._bodies(operation.get("requestBody", {})))
        return Operation(
            operation["operationId"],
            method.upper(),
            path,
            operation["summary"],
            operation.get("description", ""),
            tuple(scope for one in operation["security"] for scopes in one.values() for scope in scopes),
            tuple(self._parameter(one) for one in operation["parameters"]),
            bodies,
            tuple(self._answer(status, one) for status, one in operation["responses"].items()),
            self._command(path, method, operation, bodies),
        )

    def _parameter(self, given: Document) -> Member:
        name = given.get("$ref", "").rpartition("/")[2]
        one = self._parts["parameters"][name] if name else given
        return self._member(
            one["name"], one["schema"], one.get("description", ""), one.get("required", False), one["in"]
        )

    def _member(self, name: str, schema: Document, description: str, required: bool, location: str = "") -> Member:
        return Member(
            name, _type(schema), description or schema.get("description", ""), required, _limits(schema), location
        )

    def _answer(self, status: str, given: Document) -> Answer:
        shared = given.get("$ref", "").rpartition("/")[2]
        one = self._parts["responses"][shared] if shared else given
        return Answer(status, one["description"], () if shared else tuple(self._bodies(one)), shared)

    def _bodies(self, given: Document) -> Iterator[Body]:
        for media_type, content in given.get("content", {}).items():
            example = content.get("example")
            written = "" if example is None else json.dumps(example, indent=2, ensure_ascii=False)
            yield Body(media_type, _type(content.get("schema", {})), written)

    def _model(self, name: str, schema: Document) -> Model:
        required = schema.get("required", ())
        members = tuple(
            self._member(member, one, "", member in required) for member, one in schema.get("properties", {}).items()
        )
        return Model(name, schema.get("description", ""), _type({**schema, "title": ""}), members)

    def _command(self, path: str, method: str, operation: Document, bodies: tuple[Body, ...]) -> str:
        address = re.sub(r"\{(\w+)\}", lambda name: name[1].upper(), path)
        lines = [f"curl -sS -X {method.upper()} {shlex.quote(self._base + address)}"]
        if operation["security"]:
            lines.append('-H "Authorization: Bearer $TOKEN"')
        for body in bodies[:1]:
            if body.media_type == "application/x-www-form-urlencoded":
                lines += [f"-d {shlex.quote(f'{name}={value}')}" for name, value in _pairs(body.example)]
            else:
                lines += [f"-H {shlex.quote(f'Content-Type: {body.media_type}')}"]
                lines += (
                    [f"-d {shlex.quote(json.dumps(json.loads(body.example), ensure_ascii=False))}"]
                    if body.example
                    else []
                )
        return " \\\n  ".join(lines)


def _pairs(example: str) -> list[tuple[str, Any]]:
    return list(json.loads(example).items()) if example else []


def _type(schema: Document) -> tuple[Piece, ...]:
    """Write a type in words: ``array of Channel``, ``string or null``, ``one of "A", "B"``."""
    if "$ref" in schema:
        return (Piece(schema["$ref"].rpartition("/")[2], model=True),)
    if "const" in schema:
        return (Piece(json.dumps(schema["const"], ensure_ascii=False)),)
    if "enum" in schema:
        return (Piece(", ".join(json.dumps(word, ensure_ascii=False) for word in schema["enum"])),)
    for keyword, between in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
        if keyword in schema:
            return _joined([_type(one) for one in schema[keyword]], between)
    kinds = schema.get("type", "any value")
    return _joined([_of(kind, schema) for kind in (kinds if isinstance(kinds, list) else [kinds])], " or ")


def _of(kind: str, schema: Document) -> tuple[Piece, ...]:
    if kind == "array" and "items" in schema:
        return (Piece("array of "), *_type(schema["items"]))
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict) and schema["additionalProperties"]:
        return (Piece("object of "), *_type(schema["additionalProperties"]))
    return (Piece(kind),)


def _joined(types: list[tuple[Piece, ...]], between: str) -> tuple[Piece, ...]:
    return tuple(piece for number, one in enumerate(types) for piece in ((Piece(between),) if number else ()) + one)


def _limits(schema: Document) -> str:
    given = dict(schema)
    for one in schema.get("anyOf", ()):
        given |= {name: value for name, value in one.items() if name in _LIMITS}
    return ", ".join(
        words.format(given[name] if isinstance(given[name], str) else json.dumps(given[name]))
        for name, words in _LIMITS.items()
        if given.get(name) is not None
    )
