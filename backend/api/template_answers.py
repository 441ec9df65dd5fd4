"""What the API answers about templates."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from backend.channels.sms_segments import Segments
from backend.publishing.publish import Change
from backend.registry.provenance import CodeStanding, Lock
from backend.registry.template_lists import TemplateSummary
from backend.registry.templates import Format, Kind, TemplateContent, TemplateRecord, VersionRecord
from backend.rendering.model import Rendered, TemplateWarning


class BatchAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a batch of this template goes out, and by which member its items are known again.

    Absent limits are the installation's.
    """

    quiet_seconds: float | None = None
    max_wait_seconds: float | None = None
    max_items: int | None = None
    item_key: str | None = None
    only_if_new: bool | None = None
    digest: str | None = None


class UserAnswer(msgspec.Struct, frozen=True):
    """A template that is made with a partial or layout, and its published version."""

    identifier: str
    version: int


class SampleAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Sample data of a template, under its name; with the ``language`` of the variant that it is for, if for one."""

    name: str
    fields: dict[str, Any] | list[dict[str, Any]]
    language: str | None = None


class Beside(msgspec.Struct, frozen=True):
    """What is known of a template beside its published version."""

    users: Sequence[TemplateRecord]
    samples: list[SampleAnswer]
    code: CodeStanding | None
    lock: Lock | None


class VariantAnswer(msgspec.Struct, frozen=True):
    """What a template says in another language; without sample fields of its own it is tried with the template's."""

    source: str
    subject: str | None
    sample_fields: dict[str, Any] | list[dict[str, Any]] | None


class PublishedText(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a published version says.

    ``language`` is there where the text has its own, not the service's; ``variants`` say the same in others.
    """

    version: int
    name: str
    kind: Kind
    format: Format
    source: str
    subject: str | None
    sample_fields: dict[str, Any] | list[dict[str, Any]] | None
    language: str | None = None
    variants: dict[str, VariantAnswer] = {}
    batch: BatchAnswer | None
    repeat_after: str | None
    sender: str | None
    reply_to: str | None
    created_at: datetime


class TemplateAnswer(PublishedText, frozen=True, kw_only=True, omit_defaults=True):
    """A template with its published version, and what its author should look at; lines count from 1.

    ``language`` is there where the text has its own, not the service's; ``variants`` say the same in others.

    ``uses`` are the partials and layouts that it is made with, ``used_by`` what is made with it. ``samples`` are the
    sample data of its editors, the eldest first. ``code`` is there for what was published from a repository, ``lock``
    while the repository alone may change it.
    """

    identifier: str
    updated_at: datetime
    warnings: list[TemplateWarning]
    uses: list[str]
    used_by: list[UserAnswer]
    samples: list[SampleAnswer]
    code: CodeStanding | None
    lock: Lock | None


class TemplatePage(msgspec.Struct, frozen=True):
    """Templates in order of identifier; ``next_cursor`` leads to the following page and is null on the last."""

    templates: Sequence[TemplateSummary]
    next_cursor: str | None


class VersionAnswer(PublishedText, frozen=True, kw_only=True, omit_defaults=True):
    """One published version; ``created_by`` is the client or user that published it, ``note`` what was said of it.

    What was published by code may name its ``commit`` and ``repository``.
    """

    created_by: str
    note: str | None
    by_code: bool
    commit: str | None
    repository: str | None


class VersionPage(msgspec.Struct, frozen=True):
    """Versions, newest first; ``next_cursor`` leads to the following page and is null on the last."""

    versions: list[VersionAnswer]
    next_cursor: str | None


class TemplatePreview(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rendered template as an e-mail; ``html`` is null for a partial in plain text.

    ``language`` is that of the variant which it is.
    ``segments`` tells how it would be cut into parts as a text message; it comes with the formats text and markdown.
    """

    subject: str | None
    html: str | None
    text: str
    language: str
    warnings: list[TemplateWarning]
    segments: Segments | None = None


class RenderedAnswer(msgspec.Struct, frozen=True):
    """A message that was rendered; ``html`` is null for a partial in plain text."""

    subject: str | None
    html: str | None
    text: str


class ChangeAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What becomes of a template's message of its sample fields; ``breaks`` says why none could be made any more.

    ``language`` is that of the variant which the message is of; the template's own text has none here.
    """

    identifier: str
    version: int
    before: RenderedAnswer | None
    after: RenderedAnswer | None
    breaks: str | None
    language: str | None = None


class ChangesAnswer(msgspec.Struct, frozen=True):
    """What publishing a text would change beside itself."""

    changes: list[ChangeAnswer]


def _common(content: TemplateContent) -> dict[str, Any]:
    batch = BatchAnswer(**content.batch) if content.batch else None
    variants = {
        tag: VariantAnswer(one.source, one.subject, one.sample_fields) for tag, one in sorted(content.variants.items())
    }
    return msgspec.structs.asdict(content) | {"batch": batch, "variants": variants}


def answer(record: TemplateRecord, beside: Beside, warnings: list[TemplateWarning]) -> TemplateAnswer:
    """Answer a template."""
    return TemplateAnswer(
        identifier=record.identifier,
        version=record.version,
        created_at=record.created_at,
        updated_at=record.updated_at,
        warnings=warnings,
        uses=sorted(record.pins.named),
        used_by=[UserAnswer(one.identifier, one.version) for one in beside.users],
        samples=beside.samples,
        code=beside.code,
        lock=beside.lock,
        **_common(record.content),
    )


def version(record: VersionRecord) -> VersionAnswer:
    """Answer one version."""
    return VersionAnswer(
        version=record.version,
        created_at=record.created_at,
        created_by=record.created_by,
        **msgspec.structs.asdict(record.said),
        **_common(record.content),
    )


def change(one: Change) -> ChangeAnswer:
    """Answer what becomes of one template."""
    return ChangeAnswer(
        one.identifier, one.version, _rendered(one.before), _rendered(one.after), one.breaks, one.language
    )


def _rendered(made: Rendered | None) -> RenderedAnswer | None:
    return RenderedAnswer(made.subject, made.html, made.text) if made else None
