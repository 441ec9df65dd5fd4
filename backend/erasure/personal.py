"""What is a person's as a whole: messages that went, or were to go, to their address alone."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, func, or_, select, true, type_coerce, update
from sqlalchemy.orm import Session

from backend.batching import manage
from backend.db import database as db
from backend.db import events
from backend.db.models.attachments import FileLink
from backend.db.models.batches import Batch, BatchMember, BatchStatus
from backend.db.models.notifications import WAITING, Delivery, Notification, OutboxMessage
from backend.delivery import again
from backend.delivery.content import file_links, files
from backend.erasure.address_columns import as_json
from backend.erasure.person import Person

_CHUNK = 300
_CANCELLED = "The address was erased, so this is not sent any more."
_ERASED = "Erased."

Step = Callable[[Session, Sequence[int]], None]


def goes_to(person: Person, column: Any) -> ColumnElement[bool]:
    """Tell whether an address is the person's; it may have options behind it."""
    text = func.lower(type_coerce(column, Text()))
    return or_(text == person.mailbox, text.startswith(f"{person.mailbox};", autoescape=True))


def cancel(person: Person, *, dry_run: bool) -> int:
    """Cancel what waits to be sent to a person, also in batches; return how many messages."""
    waiting = Delivery.status.in_([status.value for status in WAITING])
    with db.current().read() as session:
        found = session.scalars(select(Delivery.id).where(goes_to(person, Delivery.address), waiting)).all()
        batches = session.scalars(select(Batch.id).where(goes_to(person, Batch.address), manage.can_be_emptied())).all()
    if not dry_run:
        _in_pieces(found, _cancel)
        for batch_id in batches:
            with db.current().transaction() as session:
                _empty(session, batch_id)
    return len(found) + len(batches)


def _empty(session: Session, batch_id: int) -> None:
    members = manage.empty(session, batch_id)
    events.write(session, [events.event("cancelled_in_batch", _CANCELLED, notification_id=one) for one in members])


def _cancel(session: Session, some: Sequence[int]) -> None:
    waiting = Delivery.status.in_([status.value for status in WAITING])
    again.cancel_deliveries(session, Delivery.id.in_(some) & waiting, _CANCELLED, doubt=None)


def blank(person: Person, *, dry_run: bool) -> int:
    """Blank the fields and files of notifications that went to a person alone; return how many notifications."""
    with db.current().read() as session:
        found = _alone(session, person, dry_run=dry_run)
    if not dry_run:
        _in_pieces(found, _blank)
    return len(found)


def _alone(session: Session, person: Person, *, dry_run: bool) -> list[int]:
    """List the notifications all of whose messages, their own and those of their batches, are to the person.

    A batch to an address may have been given up before it had a message. One that is open was opened since the others
    were emptied, and goes with all that it gathers.
    """
    own = select(Delivery.notification_id).where(Delivery.notification_id.is_not(None))
    batched = select(BatchMember.notification_id).join(Delivery, Delivery.batch_id == BatchMember.batch_id)
    to_them = goes_to(person, Delivery.address)
    mentioned = {row for some in (own, batched) for row in session.scalars(some.where(to_them)) if row is not None}
    joined = select(BatchMember.notification_id).join(Batch, Batch.id == BatchMember.batch_id)
    ended = true() if dry_run else Batch.status != BatchStatus.OPEN.value
    mentioned |= set(session.scalars(joined.where(goes_to(person, Batch.address), ended)))
    alone = []
    for start in range(0, len(ordered := sorted(mentioned)), _CHUNK):
        some = ordered[start : start + _CHUNK]
        others = {
            *session.scalars(own.where(~to_them, Delivery.notification_id.in_(some))),
            *session.scalars(batched.where(~to_them, BatchMember.notification_id.in_(some))),
        }
        alone += [row for row in some if row not in others]
    return alone


def _blank(session: Session, some: Sequence[int]) -> None:
    for row in session.scalars(select(Notification).where(Notification.id.in_(some))):
        row.content = _blanked(row.content)
    files.purge(session, some)
    file_links.let_go(session, session.scalars(select(FileLink).where(FileLink.notification_id.in_(some))).all())


def _blanked(content: str | None) -> str | None:
    """Return a notification without what it said: who asked for what by which template stays."""
    found = as_json(content)
    if not isinstance(found, dict):
        return content
    for channel in found.get("channels", []):
        if isinstance(channel, dict):
            channel.pop("attachments", None)
            channel |= {name: value for name, value in (("fields", {}), ("subject", _ERASED)) if name in channel}
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def blank_outbox(person: Person, *, dry_run: bool) -> int:
    """Blank the messages to a person in the outbox; return how many."""
    theirs = select(Delivery.id).where(goes_to(person, Delivery.address))
    unblanked = (OutboxMessage.delivery_id.in_(theirs), OutboxMessage.text != _ERASED)
    with db.current().read() as session:
        found = session.scalars(select(OutboxMessage.id).where(*unblanked)).all()
    if not dry_run:
        _in_pieces(found, _blank_outbox)
    return len(found)


def _blank_outbox(session: Session, some: Sequence[int]) -> None:
    values = {"subject": None, "text": _ERASED, "html": None}
    session.execute(update(OutboxMessage).where(OutboxMessage.id.in_(some)).values(values))


def _in_pieces(found: Sequence[int], step: Step) -> None:
    for start in range(0, len(found), _CHUNK):
        with db.current().transaction() as session:
            step(session, found[start : start + _CHUNK])
