"""What the API answers about templates."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from backend.channels.sms_segments import Segments
from backend.publishing.publish import Change
from backend.registry.templates import TemplateContent, TemplateRecord, TemplateSummary, VersionRecord
from backend.rendering.model import Format, Rendered, TemplateWarning

Kind = Literal["template", "partial", "layout"]


class BatchAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a batch of this template goes out; an absent member follows the installation's settings."""

    quiet_seconds: float | None = None
    max_wait_seconds: float | None = None
    max_items: int | None = None


class UserAnswer(msgspec.Struct, frozen=True):
    """A template that is made with a partial or layout, and its published version."""

    identifier: str
    version: int


class TemplateAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A template with its published version, and what its author should look at; lines count from 1.

    ``uses`` are the partials and layouts that it is made with, ``used_by`` what is made with it.
    """

    identifier: str
    name: str
    kind: Kind
    format: Format
    version: int
    source: str
    subject: str | None
    sample_fields: dict[str, Any] | list[dict[str, Any]] | None
    batch: BatchAnswer | None
    repeat_after: str | None
    created_at: datetime
    updated_at: datetime
    warnings: list[TemplateWarning]
    uses: list[str]
    used_by: list[UserAnswer]


class TemplatePage(msgspec.Struct, frozen=True):
    """Templates in order of identifier; ``next_cursor`` leads to the following page and is null on the last."""

    templates: list[TemplateSummary]
    next_cursor: str | None


class VersionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One published version; ``created_by`` is the client or user that published it."""

    version: int
    name: str
    kind: Kind
    format: Format
    source: str
    subject: str | None
    sample_fields: dict[str, Any] | list[dict[str, Any]] | None
    batch: BatchAnswer | None
    repeat_after: str | None
    created_at: datetime
    created_by: str


class VersionPage(msgspec.Struct, frozen=True):
    """Versions, newest first; ``next_cursor`` leads to the following page and is null on the last."""

    versions: list[VersionAnswer]
    next_cursor: str | None


class TemplatePreview(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rendered template as an e-mail; ``html`` is null for a partial in plain text.

    ``segments`` tells how it would be cut into parts as a text message; it comes with the formats text and markdown.
    """

    subject: str | None
    html: str | None
    text: str
    warnings: list[TemplateWarning]
    segments: Segments | None = None


class RenderedAnswer(msgspec.Struct, frozen=True):
    """A message that was rendered; ``html`` is null for a partial in plain text."""

    subject: str | None
    html: str | None
    text: str


class ChangeAnswer(msgspec.Struct, frozen=True):
    """What becomes of a template's message of its sample fields; ``breaks`` says why none could be made any more."""

    identifier: str
    version: int
    before: RenderedAnswer | None
    after: RenderedAnswer | None
    breaks: str | None


class ChangesAnswer(msgspec.Struct, frozen=True):
    """What publishing a text would change beside itself."""

    changes: list[ChangeAnswer]


def _common(content: TemplateContent) -> dict[str, Any]:
    batch = BatchAnswer(**content.batch) if content.batch else None
    return msgspec.structs.asdict(content) | {"batch": batch}


def answer(record: TemplateRecord, users: Sequence[TemplateRecord], warnings: list[TemplateWarning]) -> TemplateAnswer:
    """Answer a template, with the ``users`` that are made with it."""
    return TemplateAnswer(
        identifier=record.identifier,
        version=record.version,
        created_at=record.created_at,
        updated_at=record.updated_at,
        warnings=warnings,
        uses=sorted(record.pins.partials),
        used_by=[UserAnswer(one.identifier, one.version) for one in users],
        **_common(record.content),
    )


def version(record: VersionRecord) -> VersionAnswer:
    """Answer one version."""
    return VersionAnswer(
        version=record.version,
        created_at=record.created_at,
        created_by=record.created_by,
        **_common(record.content),
    )


def change(one: Change) -> ChangeAnswer:
    """Answer what becomes of one template."""
    return ChangeAnswer(one.identifier, one.version, _rendered(one.before), _rendered(one.after), one.breaks)


def _rendered(made: Rendered | None) -> RenderedAnswer | None:
    return RenderedAnswer(made.subject, made.html, made.text) if made else None
