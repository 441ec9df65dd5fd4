"""What teams register: recipient groups with their endpoints, templates with their immutable versions."""

from datetime import datetime
from typing import Any

from advanced_alchemy.base import IdentityBase
from advanced_alchemy.types import BigIntIdentity
from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.db.types import Address, JsonB, Moment
from backend.lib import clock


class Recipient(IdentityBase):
    """A group that a notification can be sent to; its identifier stays its service's even when deleted.

    ``language`` is the BCP 47 tag of the one that it reads, where that is known.
    """

    __tablename__ = "recipients"

    identifier: Mapped[str] = mapped_column(String(64), unique=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"), index=True)
    name: Mapped[str] = mapped_column(String(160))
    language: Mapped[str | None] = mapped_column(String(35), default=None)
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
    What is ``locked`` is changed by its repository alone, not in the portal: since when, by which client, from where.
    """

    __tablename__ = "templates"

    identifier: Mapped[str] = mapped_column(String(64), unique=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"), index=True)
    current_version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    deleted_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    locked_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    locked_by: Mapped[str | None] = mapped_column(String(160), default=None)
    locked_from: Mapped[str | None] = mapped_column(String(300), default=None)


_VARIANT = text("variant_of IS NOT NULL")


class TemplateVersion(IdentityBase):
    """One published text of a template, never changed afterwards.

    Numbers count from 1. A negative number marks what is not published by itself: a draft's text that was sent as a
    test, or a variant in another language, which belongs to the row ``variant_of`` and has all that a message is made
    from, so that a delivery names the text that it was made from by one row.
    ``batch`` holds ``quiet_seconds``, ``max_wait_seconds``, ``max_items`` and ``digest``, those that it sets itself,
    and its ``item_key`` and ``only_if_new``.
    ``repeat_after`` is after how long the same content is new again, as ``24h``; None for never. ``sender`` and
    ``reply_to`` are what its e-mails come from, and where answers go: an id or address of the service's senders.
    ``kind`` is ``template``, ``partial`` or ``layout``; ``partials`` are the rows of the versions of all partials and
    layouts that it is made with, by their identifiers. ``language`` and ``mail_layout`` are the service's of that time,
    unless it has an ``own_language``.
    ``note`` is what was said of the publication; one ``by_code`` may name its commit and repository.
    """

    __tablename__ = "template_versions"
    __table_args__ = (
        UniqueConstraint("template_id", "number"),
        Index("ix_template_versions_variant_of", "variant_of", sqlite_where=_VARIANT, postgresql_where=_VARIANT),
    )

    template_id: Mapped[int] = mapped_column(ForeignKey("templates.id"))
    number: Mapped[int]
    name: Mapped[str] = mapped_column(String(160))
    format: Mapped[str] = mapped_column(String(10))
    source: Mapped[str] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text, default=None)
    sample_fields: Mapped[Any | None] = mapped_column(JsonB, default=None)
    batch: Mapped[dict[str, Any] | None] = mapped_column(JsonB, default=None)
    repeat_after: Mapped[str | None] = mapped_column(String(8), default=None)
    sender: Mapped[str | None] = mapped_column(String(254), default=None)
    reply_to: Mapped[str | None] = mapped_column(String(254), default=None)
    kind: Mapped[str] = mapped_column(String(10), default="template", server_default="template")
    partials: Mapped[dict[str, int] | None] = mapped_column(JsonB, default=None)
    language: Mapped[str] = mapped_column(String(35), default="en", server_default="en")
    mail_layout: Mapped[str | None] = mapped_column(String(64), default=None)
    content_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    created_by: Mapped[str] = mapped_column(String(160))
    note: Mapped[str | None] = mapped_column(String(500), default=None)
    by_code: Mapped[bool] = mapped_column(default=False, server_default=false())
    code_commit: Mapped[str | None] = mapped_column(String(64), default=None)
    code_repository: Mapped[str | None] = mapped_column(String(300), default=None)
    own_language: Mapped[bool] = mapped_column(default=False, server_default=false())
    variant_of: Mapped[int | None] = mapped_column(BigIntIdentity, default=None)

    variants: Mapped[list["TemplateVersion"]] = relationship(
        primaryjoin="TemplateVersion.id == foreign(remote(TemplateVersion.variant_of))",
        order_by="TemplateVersion.language",
        lazy="selectin",
    )


class TemplateDraft(IdentityBase):
    """The one unpublished text of a template, which its service's editors share.

    ``revision`` counts its saves, so that nobody writes over what they have not seen. ``based_on`` is the published
    version that it was begun from. A template that was never published has ``current_version`` 0 and counts as
    deleted for everybody but its editors. ``language`` is its own, and ``variants`` are its texts in others: by their
    tags, with ``source`` and ``subject``.
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
    sender: Mapped[str | None] = mapped_column(String(254), default=None)
    reply_to: Mapped[str | None] = mapped_column(String(254), default=None)
    kind: Mapped[str] = mapped_column(String(10), default="template", server_default="template")
    language: Mapped[str | None] = mapped_column(String(35), default=None)
    variants: Mapped[dict[str, Any] | None] = mapped_column(JsonB, default=None)
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
    sender: Mapped[str | None] = mapped_column(String(254), default=None)
    reply_to: Mapped[str | None] = mapped_column(String(254), default=None)
    kind: Mapped[str] = mapped_column(String(10), default="template", server_default="template")
    language: Mapped[str | None] = mapped_column(String(35), default=None)
    variants: Mapped[dict[str, Any] | None] = mapped_column(JsonB, default=None)
    why: Mapped[str] = mapped_column(String(10))
    saved_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    saved_by: Mapped[str] = mapped_column(String(254))


class TemplateSample(IdentityBase):
    """Named sample data of a template: JSON as its author wrote it, an object, or an array of them for a batch.

    ``language`` is that of the variant which it is for; empty for the template's own text, and for variants that have
    none of theirs.
    """

    __tablename__ = "template_samples"
    __table_args__ = (UniqueConstraint("template_id", "language", "name"),)

    template_id: Mapped[int] = mapped_column(ForeignKey("templates.id"))
    language: Mapped[str] = mapped_column(String(35), default="", server_default="")
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
