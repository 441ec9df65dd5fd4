"""Releasing: what is due goes to the queue, or into its batch, in one transaction, with the registry of this moment.

The rows themselves say what is due, so a worker that dies in between leaves all as it was; and of two that look at the
same moment the one that holds a notification's row releases it, and the other passes it over.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from backend.batching.join import Joining, Moment
from backend.batching.keys import limits
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, Priority
from backend.db.statements import one_of
from backend.lib import clock
from backend.publishing import sources
from backend.registry import lookup
from backend.registry.lookup import Templates
from backend.scheduling import content
from backend.scheduling.content import Content
from backend.scheduling.due import Ended, Row, decide
from backend.scheduling.wording import Wording
from backend.scheduling.written import Added, Changes

# So many rows are looked at for one transaction; those of one notification stay together.
CHUNK = 500


class Released(msgspec.Struct, frozen=True):
    """What was released: channels with new messages by their priority, and when batches are to be looked at."""

    messages: dict[int, set[str]]
    moments: list[Moment]
    anything: bool


class _Owner(msgspec.Struct, frozen=True):
    """A notification that something is released of."""

    id: int
    uid: UUID
    service_id: int
    aggregator_id: str | None
    content: str | None
    accepted_at: datetime


_OWNER = tuple(getattr(Notification, name) for name in _Owner.__struct_fields__)
_ROW = tuple(getattr(Delivery, name) for name in Row.__struct_fields__)


def due(session: Session) -> list[int]:
    """List notifications of which something is due, the longest due first: a look that locks nothing."""
    rows = select(Delivery.notification_id).where(_is_due()).order_by(Delivery.due_at, Delivery.id).limit(CHUNK)
    return list(dict.fromkeys(one for one in session.scalars(rows) if one is not None))


def _is_due() -> ColumnElement[bool]:
    scheduled = one_of(Delivery.status, [DeliveryStatus.SCHEDULED])
    return and_(scheduled, Delivery.due_at <= clock.now(), Delivery.waits.is_(None))


def release(session: Session, notification_ids: Collection[int]) -> Released:
    """Release what is due of these notifications; what somebody else holds at this moment is left to them."""
    wanted = select(*_OWNER).where(Notification.id.in_(notification_ids)).order_by(Notification.id)
    owners = [_Owner(*row) for row in session.execute(wanted.with_for_update(key_share=True, skip_locked=True))]
    mine = select(*_ROW).where(Delivery.notification_id.in_([one.id for one in owners]), _is_due())
    rows: dict[int, list[Row]] = defaultdict(list)
    for row in session.execute(mine.order_by(Delivery.id).with_for_update(skip_locked=True)):
        rows[row.notification_id].append(Row(*row))
    changes = Changes()
    services: dict[int, list[_Owner]] = defaultdict(list)
    for owner in owners:
        services[owner.service_id].append(owner)
    for service_id, some in services.items():
        _take(session, service_id, some, rows, changes)
    moments = changes.write(session)
    return Released(changes.queued_messages(), moments, anything=any(rows.values()))


def _take(
    session: Session, service_id: int, owners: Sequence[_Owner], rows: dict[int, list[Row]], changes: Changes
) -> None:
    """Decide about what is due of one service's notifications."""
    asked = {one.id: content.read(one.content) for one in owners}
    named = [part for some in asked.values() for part in some.channels]
    templates = lookup.templates(session, service_id, {part.template_id for part in named})
    readers = lookup.readers(session, service_id, {name for part in named for name in part.recipient})
    language = sources.mail_settings(session, service_id).language
    for owner in owners:
        mine = rows[owner.id]
        if any(row.priority == Priority.BATCH for row in mine):
            _join(owner, mine, asked[owner.id], templates, changes)
            continue
        for index, part in enumerate(asked[owner.id].channels):
            of_channel = [row for row in mine if row.channel_index == index]
            template = templates.get(part.template_id)
            decided = decide(of_channel, part, template, readers.addresses)
            changes.end(decided.ended)
            if template is not None and of_channel:
                words = Wording(template, part, readers.languages, language)
                for row in decided.queued:
                    changes.queue([row], words.of(row.recipients).version_id)
                for address, names in decided.added.items():
                    added = Added(owner.uid, owner.accepted_at, of_channel[0], address, names)
                    changes.add(added, words.of(names).version_id)
                changes.tell(owner.id, words.missed)


def _join(owner: _Owner, rows: Sequence[Row], asked: Content, templates: Templates, changes: Changes) -> None:
    """Let a BATCH notification join its batches, or fail as a whole, so that it breaks them for no one else."""
    broken = next((row.error for row in rows if row.error), None)
    if broken is not None:
        changes.end([Ended(row, DeliveryStatus.FAILED, broken) for row in rows])
        return
    for row in rows:
        part = asked.channels[row.channel_index]
        template = templates.get(part.template_id)
        changes.join(
            row,
            Joining(
                part.key(owner.service_id, owner.aggregator_id or "", asked.matter, row.recipients[0], row.mode),
                limits(template.batch if template else None),
                owner.id,
                owner.uid,
                row.channel_index,
                sum(one.size for one in part.attachments),
                part.language,
            ),
        )
