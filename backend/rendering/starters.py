"""The starter library: templates that teams copy and change, read from ``notification_templates/``."""

from functools import cache
from pathlib import Path

import msgspec

from backend.rendering.jinja.environments import LIBRARY
from backend.rendering.model import Format

_DESCRIPTION = "starter.json"


class Starter(msgspec.Struct, frozen=True):
    """One starter; ``identifier`` fits a template's identifier, ``sample_fields`` are what it can be tried with."""

    identifier: str
    name: str
    description: str
    format: Format
    source: str
    subject: str | None
    sample_fields: object
    batch: bool


class _Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The form of ``starter.json``."""

    name: str
    description: str
    format: Format
    subject: str | None
    sample_fields: object
    batch: bool


def starters() -> list[Starter]:
    """Return the starters in the order of their identifiers."""
    return list(_library())


@cache
def _library() -> tuple[Starter, ...]:
    return tuple(_read(path.parent) for path in sorted(LIBRARY.glob(f"*/{_DESCRIPTION}")))


def _read(folder: Path) -> Starter:
    described = msgspec.json.decode((folder / _DESCRIPTION).read_bytes(), type=_Description)
    (source,) = folder.glob("template.*")
    return Starter(
        identifier=folder.name.upper(), source=source.read_text(encoding="utf-8"), **msgspec.structs.asdict(described)
    )
