"""What a notification asks for, as far as it is read from its content: a refused one may have any shape."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

# So many characters of the fields of one notification can be found, and so many words of it in all.
MOST_CHARACTERS = 100_000
_DEEPEST = 20


class Part(msgspec.Struct, frozen=True):
    """What one channel of a notification asks for."""

    type: str = ""
    template_id: str = ""
    recipient: list[str] = []
    subject: str | None = None
    fields: Any = None


class _Step(msgspec.Struct, frozen=True):
    channels: list[Part] = []


class _Owes(msgspec.Struct, frozen=True):
    steps: list[_Step] = []


class _Content(msgspec.Struct, frozen=True):
    channels: list[Part] = []


class _Whole(_Content, frozen=True):
    template_id: str | None = None
    obligation: _Owes | None = None


_read = msgspec.json.Decoder(_Content).decode
_read_whole = msgspec.json.Decoder(_Whole).decode


def parts_of(content: str | None) -> list[Part]:
    """Read what a notification asks for; nothing, where it has no readable shape."""
    try:
        return _read(content or "{}").channels
    except (msgspec.DecodeError, RecursionError):
        return []


def templates_of(content: str | None) -> set[str]:
    """Name the templates of a notification: of its channels, of the steps that it owes, and beside its policy."""
    try:
        found = _read_whole(content or "{}")
    except (msgspec.DecodeError, RecursionError):
        return {part.template_id for part in parts_of(content)}
    owed = [part for step in (found.obligation.steps if found.obligation else []) for part in step.channels]
    return {part.template_id for part in (*found.channels, *owed)} | {found.template_id or ""}


def values(fields: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Give the texts and numbers in fields, each with the name of its field, such as ``sample.id``."""
    if isinstance(fields, str):
        yield name, fields
    elif isinstance(fields, (int, float)) and not isinstance(fields, bool):
        yield name, str(fields)
    elif depth < _DEEPEST and isinstance(fields, dict):
        for key, value in fields.items():
            yield from values(value, f"{name}.{key}" if name else str(key), depth + 1)
    elif depth < _DEEPEST and isinstance(fields, list):
        for value in fields:
            yield from values(value, name, depth + 1)


def field_values(parts: Sequence[Part]) -> Iterator[tuple[str, str]]:
    """Give the texts and numbers in the fields of all channels, up to so many characters."""
    left, seen = MOST_CHARACTERS, set()
    for part in parts:
        for name, text in values(part.fields):
            if (name, text) in seen:
                continue
            seen.add((name, text))
            yield name, text[:left]
            left -= len(text)
            if left <= 0:
                return
