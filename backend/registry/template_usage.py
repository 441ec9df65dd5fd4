"""What templates were last used for: when, whether anything waits for them, and the fields that were really sent."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.db import statements
from backend.db.models.batches import Batch, BatchMember, BatchStatus
from backend.db.models.notifications import WAITING, Delivery, DeliveryStatus, Notification
from backend.db.models.registry import Template, TemplateVersion
from backend.lib.problems import Problem
from backend.registry import templates
from backend.registry.languages import NUMBER
from backend.registry.templates import TemplateRecord

# Versions older than these are not looked through for payloads.
_NEWEST_VERSIONS = 20
_MOST_MEMBERS = 1000
_WAITING_BATCHES = (BatchStatus.OPEN, BatchStatus.CLOSED)


class Waiting(msgspec.Struct, frozen=True):
    """What still needs a template: open batches, and messages on their way that its versions make."""

    batches: int
    messages: int


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """What one message was made from.

    ``fields`` is the object of a notification, or the list of a batch's members' objects, of which there were
    ``members``. ``subject`` is the one that was sent along, if one was. ``uid`` names the notification or the batch.
    ``language`` is that of the variant that it was made from, where that is known.
    """

    uid: UUID
    at: datetime
    channel: str
    subject: str | None
    content_type: str
    fields: Any
    members: int | None = None
    language: str | None = None


def last_used(session: Session, service_id: int) -> dict[str, datetime]:
    """Return when each of a service's templates was last used, by its identifier; the unused ones are absent."""
    newest_notification = (
        select(func.max(Delivery.notification_id))
        .where(Delivery.template_version_id == TemplateVersion.id)
        .scalar_subquery()
    )
    newest_batch = select(func.max(Batch.id)).where(Batch.template_version_id == TemplateVersion.id).scalar_subquery()
    rows = session.execute(
        select(Template.identifier, newest_notification, newest_batch)
        .join(TemplateVersion, TemplateVersion.template_id == Template.id)
        .where(Template.service_id == service_id, Template.deleted_at.is_(None), NUMBER > 0)
    ).all()
    notifications = _moments(session, Notification.id, Notification.created_at, {row[1] for row in rows})
    batches = _moments(session, Batch.id, Batch.dispatched_at, {row[2] for row in rows})
    found: dict[str, datetime] = {}
    for identifier, notification, batch in rows:
        for moment in (notifications.get(notification), batches.get(batch)):
            if moment is not None:
                found[identifier] = max(moment, found.get(identifier, moment))
    return found


def _moments(session: Session, identity: Any, moment: Any, wanted: set[int | None]) -> dict[int | None, datetime]:
    ids = sorted(one for one in wanted if one is not None)
    found: dict[int | None, datetime] = {}
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        found.update(session.execute(select(identity, moment).where(identity.in_(some))).all())
    return found


def waiting(session: Session, service_id: int, identifier: str) -> Waiting:
    """Count what still needs the service's template."""
    batches = select(func.count()).where(
        statements.one_of(Batch.status, _WAITING_BATCHES), Batch.service_id == service_id, Batch.template == identifier
    )
    messages = (
        select(func.count())
        .select_from(Delivery)
        .join(TemplateVersion, TemplateVersion.id == Delivery.template_version_id)
        .join(Template, Template.id == TemplateVersion.template_id)
        .where(
            statements.one_of(Delivery.status, WAITING),
            Delivery.service_id == service_id,
            Template.identifier == identifier,
        )
    )
    return Waiting(session.scalar(batches) or 0, session.scalar(messages) or 0)


def check_unused(session: Session, service_id: int, identifier: str) -> None:
    """See that nothing waits for a template.

    Raises:
        Problem: ``in_use``, with what waits.
    """
    found = waiting(session, service_id, identifier)
    if found.batches:
        many = "1 open batch waits" if found.batches == 1 else f"{found.batches} open batches wait"
        detail = f"{many} for this template and could not be sent without it. Send or empty them first."
        raise Problem("in_use", detail)
    check_unscheduled(session, service_id, identifier)


def check_unscheduled(session: Session, service_id: int, identifier: str) -> None:
    """See that nothing is scheduled that is to be made from a template: it could not be by then.

    Raises:
        Problem: ``in_use``, with how much there is.
    """
    scheduled = session.scalar(
        select(func.count())
        .select_from(Delivery)
        .join(TemplateVersion, TemplateVersion.id == Delivery.template_version_id)
        .join(Template, Template.id == TemplateVersion.template_id)
        .where(
            statements.one_of(Delivery.status, [DeliveryStatus.SCHEDULED]),
            Delivery.service_id == service_id,
            Template.identifier == identifier,
        )
    )
    if scheduled:
        many = "1 scheduled message is" if scheduled == 1 else f"{scheduled} scheduled messages are"
        raise Problem("in_use", f"{many} made from this template when the moment comes. Cancel or await them first.")


def choosing_senders(session: Session, service_id: int) -> list[TemplateRecord]:
    """Return the service's templates that choose from whom their e-mails come, or where answers go."""
    chosen = TemplateVersion.sender.is_not(None) | TemplateVersion.reply_to.is_not(None)
    return templates.published(session, service_id, chosen)


def last_payloads(
    session: Session, service_id: int, identifier: str, *, notifications: int = 10, batches: int = 3
) -> list[Payload]:
    """Return what the last messages of a template were made from, the newest first; tests of drafts do not count."""
    rows = session.execute(
        select(TemplateVersion.id, TemplateVersion.language)
        .join(Template, Template.id == TemplateVersion.template_id)
        .where(Template.service_id == service_id, Template.identifier == identifier, NUMBER > 0)
        .order_by(NUMBER.desc(), TemplateVersion.id)
        .limit(_NEWEST_VERSIONS)
    )
    versions = dict(rows.tuples().all())
    found = [*_of_notifications(session, versions, notifications), *_of_batches(session, versions, batches)]
    return sorted(found, key=lambda payload: payload.at, reverse=True)


def payload(row: Notification, index: int | None, language: str | None = None) -> Payload:
    """Return what the message of one channel of a notification is made from."""
    channel = _read(row.content or "").channels[index or 0]
    return Payload(
        uid=row.uid,
        at=row.created_at,
        channel=channel.type,
        subject=channel.subject,
        content_type=channel.content_type,
        fields=channel.fields,
        language=language,
    )


def batch_payload(session: Session, batch: Batch, language: str | None = None) -> Payload | None:
    """Return what the message of a batch is made from; None where its members are past their retention."""
    fields = _members(session, batch.id)
    if not fields:
        return None
    return Payload(
        uid=batch.uid,
        at=batch.dispatched_at or batch.opened_at,
        channel=batch.type,
        subject=batch.subject,
        content_type=batch.content_type,
        fields=fields,
        members=batch.members,
        language=language,
    )


def _of_notifications(session: Session, versions: Mapping[int, str], most: int) -> Iterator[Payload]:
    seen = 0
    for version_id, language in versions.items():
        users = session.execute(
            select(Delivery.notification_id, Delivery.channel_index)
            .where(Delivery.template_version_id == version_id, Delivery.notification_id.is_not(None))
            .distinct()
            .order_by(Delivery.notification_id.desc(), Delivery.channel_index)
            .limit(most - seen)
        ).all()
        rows = _notifications(session, [notification for notification, _ in users])
        for notification, index in users:
            seen += 1
            yield payload(rows[notification], index, language)
        if seen >= most:
            return


def _notifications(session: Session, ids: Sequence[int | None]) -> dict[int | None, Notification]:
    return {row.id: row for row in session.scalars(select(Notification).where(Notification.id.in_(ids)))}


def _of_batches(session: Session, versions: Mapping[int, str], most: int) -> Iterator[Payload]:
    seen = 0
    for version_id, language in versions.items():
        wanted = select(Batch).where(Batch.template_version_id == version_id).order_by(Batch.id.desc())
        for batch in session.scalars(wanted.limit(most - seen)).all():
            found = batch_payload(session, batch, language)
            if found is not None:
                seen += 1
                yield found
        if seen >= most:
            return


def _members(session: Session, batch_id: int) -> list[Any]:
    rows = session.execute(
        select(Notification.content, BatchMember.channel_index)
        .join(Notification, Notification.id == BatchMember.notification_id)
        .where(BatchMember.batch_id == batch_id, BatchMember.removed_at.is_(None))
        .order_by(BatchMember.seq)
        .limit(_MOST_MEMBERS)
    )
    return [_read(content or "").channels[index].fields for content, index in rows]


class _Channel(msgspec.Struct, frozen=True):
    type: str
    content_type: str
    fields: Any = None
    subject: str | None = None


class _Content(msgspec.Struct, frozen=True):
    channels: list[_Channel]


_read = msgspec.json.Decoder(_Content).decode
