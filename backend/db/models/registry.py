"""What teams register: recipient groups with their endpoints, templates with their immutable versions."""

from datetime import datetime
from typing import Any

from advanced_alchemy.base import IdentityBase
from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.db.types import Address, JsonB, Moment
from backend.lib import clock


class Recipient(IdentityBase):
    """A group that a notification can be sent to; its identifier stays its service's even when deleted."""

    __tablename__ = "recipients"

    identifier: Mapped[str] = mapped_column(String(64), unique=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"), index=True)
    name: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    deleted_at: Mapped[datetime | None] = mapped_column(Moment, default=None)

    endpoints: Mapped[list["Endpoint"]] = relationship(
        order_by="Endpoint.position", cascade="all, delete-orphan", lazy="selectin"
    )


class Endpoint(IdentityBase):
    """One address of a recipient group on one channel type."""

    __tablename__ = "endpoints"
    __table_args__ = (UniqueConstraint("recipient_id", "type", "address"),)

    recipient_id: Mapped[int] = mapped_column(ForeignKey("recipients.id"), index=True)
    position: Mapped[int]
    type: Mapped[str] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(Address())


class Template(IdentityBase):
    """A template's identity; its text is in its versions, of which ``current_version`` is the published one.

    One that was never published, of which there are drafts alone, has the current version 0 and counts as deleted.
    """

    __tablename__ = "templates"

    identifier: Mapped[str] = mapped_column(String(64), unique=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"), index=True)
    current_version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    deleted_at: Mapped[datetime | None] = mapped_column(Moment, default=None)


class TemplateVersion(IdentityBase):
    """One published text of a template, never changed afterwards.

    Numbers count from 1. A negative number marks a draft's text that was sent as a test and never published.
    ``batch`` holds ``quiet_seconds``, ``max_wait_seconds`` and ``max_items`` where the template sets its own.
    ``repeat_after`` is after how long the same content is new again, as ``24h``; None for never.
    ``kind`` is ``template``, ``partial`` or ``layout``; ``partials`` are the rows of the versions of all partials and
    layouts that it is made with, by their identifiers. ``language`` and ``mail_layout`` are the service's of that time.
    """

    __tablename__ = "template_versions"
    __table_args__ = (UniqueConstraint("template_id", "number"),)

    template_id: Mapped[int] = mapped_column(ForeignKey("templates.id"))
    number: Mapped[int]
    name: Mapped[str] = mapped_column(String(160))
    format: Mapped[str] = mapped_column(String(10))
    source: Mapped[str] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text, default=None)
    sample_fields: Mapped[Any | None] = mapped_column(JsonB, default=None)
    batch: Mapped[dict[str, Any] | None] = mapped_column(JsonB, default=None)
    repeat_after: Mapped[str | None] = mapped_column(String(8), default=None)
    kind: Mapped[str] = mapped_column(String(10), default="template", server_default="template")
    partials: Mapped[dict[str, int] | None] = mapped_column(JsonB, default=None)
    language: Mapped[str] = mapped_column(String(35), default="en", server_default="en")
    mail_layout: Mapped[str | None] = mapped_column(String(64), default=None)
    content_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    created_by: Mapped[str] = mapped_column(String(160))


class TemplateDraft(IdentityBase):
    """The one unpublished text of a template, which its service's editors share.

    ``revision`` counts its saves, so that nobody writes over what they have not seen. ``based_on`` is the published
    version that it was begun from. A template that was never published has ``current_version`` 0 and counts as
    deleted for everybody but its editors.
    """

    __tablename__ = "template_drafts"

    template_id: Mapped[int] = mapped_column(ForeignKey("templates.id"), unique=True)
    revision: Mapped[int]
    name: Mapped[str] = mapped_column(String(160))
    format: Mapped[str] = mapped_column(String(10))
    source: Mapped[str] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text, default=None)
    batch: Mapped[dict[str, Any] | None] = mapped_column(JsonB, default=None)
    repeat_after: Mapped[str | None] = mapped_column(String(8), default=None)
    kind: Mapped[str] = mapped_column(String(10), default="template", server_default="template")
    based_on: Mapped[int | None] = mapped_column(default=None)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    updated_by: Mapped[str] = mapped_column(String(254))


class TemplateCopy(IdentityBase):
    """A text that left the draft without being published, kept so that nobody's work is lost.

    ``why`` is ``replaced`` (another editor saved theirs over it), ``unsaved`` (its editor took the other's instead)
    or ``discarded``.
    """

    __tablename__ = "template_copies"

    template_id: Mapped[int] = mapped_column(ForeignKey("templates.id"), index=True)
    name: Mapped[str] = mapped_column(String(160))
    format: Mapped[str] = mapped_column(String(10))
    source: Mapped[str] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text, default=None)
    batch: Mapped[dict[str, Any] | None] = mapped_column(JsonB, default=None)
    repeat_after: Mapped[str | None] = mapped_column(String(8), default=None)
    kind: Mapped[str] = mapped_column(String(10), default="template", server_default="template")
    why: Mapped[str] = mapped_column(String(10))
    saved_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    saved_by: Mapped[str] = mapped_column(String(254))


class TemplateSample(IdentityBase):
    """Named sample data of a template: JSON as its author wrote it, an object, or an array of them for a batch."""

    __tablename__ = "template_samples"
    __table_args__ = (UniqueConstraint("template_id", "name"),)

    template_id: Mapped[int] = mapped_column(ForeignKey("templates.id"))
    name: Mapped[str] = mapped_column(String(80))
    text: Mapped[str] = mapped_column(Text)


class TemplatePreview(IdentityBase):
    """The HTML of a text that is being edited, for the sandboxed frame that shows it; kept for minutes."""

    __tablename__ = "template_previews"
    __table_args__ = (UniqueConstraint("user_id", "template_id", "digest"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    template_id: Mapped[int] = mapped_column(ForeignKey("templates.id"))
    digest: Mapped[str] = mapped_column(String(64))
    html: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
