"""Saying that a matter is resolved: once, on every conversation that was had about it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.accounts import audit, reach, services
from backend.accounts.audit import Actor
from backend.accounts.reach import Manner
from backend.callbacks import obligations as callbacks
from backend.channels.base import Channel
from backend.channels.records import NEVER_FOLLOWED
from backend.db import database as db
from backend.db import events
from backend.db.models.accounts import Mode
from backend.db.models.matters import Conversation, Resolution
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.db.statements import insert
from backend.delivery.content import matters
from backend.intake import lookup, modes, ready
from backend.intake.quotas import Meter
from backend.intake.ready import ReadyMessage
from backend.lib import ids
from backend.lib.problems import Problem
from backend.obligations import closing
from backend.registry import suppressions, templates
from backend.registry.templates import TemplateContent

_CONTENT = TemplateContent(
    name="A matter is resolved",
    format="text",
    source="Resolved: {{ matter }}\n{% if note %}\n{{ note }}\n{% endif %}\nThere is nothing more to do.\n",
    subject="Resolved: {{ matter }}",
)
_AUTHOR = "Carillon"
_LONGEST_SUBJECT = 500
# What is still on its way arrives before the word that it is over;
# what is scheduled comes after it, and opens it again.
_UNTOLD = (DeliveryStatus.FAILED.value, DeliveryStatus.CANCELLED.value, DeliveryStatus.SCHEDULED.value)
# A statement takes so many parameters.
_AT_ONCE = 1000


class TicketClosed(msgspec.Struct, frozen=True):
    """That the ticket of a matter was closed, which says so itself; ``number`` is what its service desk calls it."""

    number: str


def resolve(  # noqa: PLR0913 - what is resolved, how, and by whom
    service_id: int,
    matter: str,
    note: str | None,
    by: Actor,
    manner: Manner | None = None,
    *,
    ticket: TicketClosed | None = None,
) -> bool:
    """Say on all conversations about a matter that it is resolved; false if that was said after its last message.

    What its notifications owe ends with it. ``ticket`` is what resolved it, where that was done in a service desk.
    Nothing follows a letter. Addresses that are suppressed by now are passed over, and channels that
    the operators have switched off. ``manner`` is how the client's messages are sent who says it: nobody is told what
    that would not reach.

    Raises:
        Problem: ``not_found`` for a matter of which there is no message, ``service_disabled``, or the day's limit.
    """
    matter_id = ids.matter_id(service_id, matter)
    with db.current().transaction() as session:
        service = ready.active(session, service_id)
        last = matters.last_message_at(session, matter_id)
        if last is None:
            raise unknown()
        meter = Meter(session, {service_id: service.daily_limit})
        row = {"matter_id": matter_id, "service_id": service_id, "name": matter, "note": note}
        said = _close(session, row | {"resolved_at": meter.moment, "resolved_by": by.name}, last)
        ended = closing.with_matter(session, matter_id, by.name, _why(note), "TICKET" if ticket else "MATTER")
        if not said:
            return False
        manner = lookup.manner_of(service, manner or Manner(), by_client=manner is not None)
        told = reached(session, service_id, _told(session, service_id, matter_id), manner)
        told = [one for one in told if ticket is None or not _is_on(one, ticket)]
        _tell(session, told, {"matter": matter, "note": note}, meter, manner.mode)
        callbacks.resolved(session, session.get_one(Resolution, matter_id, populate_existing=True), ended)
        detail = {"messages": len(told)} | ({"obligations": ended} if ended else {}) | ({"note": note} if note else {})
        audit.record(session, by, "matter.resolved", matter, service_id=service_id, detail=detail)
    return True


def _why(note: str | None) -> str:
    return (
        "What it was about is resolved." if note is None else f"What it was about is resolved: {' '.join(note.split())}"
    )


def _is_on(told: Delivery, ticket: TicketClosed) -> bool:
    return told.type == Channel.FRESHSERVICE.value and told.provider_message_id == ticket.number


def unknown() -> Problem:
    """Say that a service has no such matter."""
    return Problem("not_found", "This service has no message about this matter.")


def _close(session: Session, row: dict[str, object], last: datetime) -> bool:
    """Write the resolution down, unless there is one after the last message: of several at once, one does."""
    statement = insert(session, Resolution).values(**row)
    changed = {name: statement.excluded[name] for name in ("resolved_at", "resolved_by", "note")}
    closed = statement.on_conflict_do_update(
        index_elements=["matter_id"], set_=changed, where=Resolution.resolved_at < last
    )
    return session.execute(closed.returning(Resolution.matter_id)).first() is not None


def _told(session: Session, service_id: int, matter_id: UUID) -> list[Delivery]:
    """Return the last message about a matter to each address that was told of it, or is about to be."""
    last = (
        select(func.max(Delivery.id))
        .where(
            Delivery.matter_id == matter_id,
            Delivery.mode != Mode.TEST.value,
            Delivery.status.not_in(_UNTOLD),
            Delivery.type.not_in([channel.value for channel in NEVER_FOLLOWED]),
        )
        .group_by(Delivery.type, Delivery.address)
    )
    found = session.scalars(select(Delivery).where(Delivery.id.in_(last)).order_by(Delivery.id)).all()
    stopped: set[tuple[str, str]] = set()
    for channel in sorted({one.type for one in found if modes.is_on(one.type)}):
        pairs = {(service_id, one.address) for one in found if one.type == channel}
        stopped |= {(channel, address) for _, address in suppressions.among(session, Channel(channel), pairs)}
    return [one for one in found if modes.is_on(one.type) and (one.type, one.address) not in stopped]


def reached(session: Session, service_id: int, told: Sequence[Delivery], manner: Manner) -> Sequence[Delivery]:
    """Return those whose addresses may be reached still; who redirects messages tells those that were redirected."""
    if manner.mode is Mode.TEST:
        return []
    if manner.redirect is not None:
        told = [one for one in told if one.meant_for is not None]
    # Who was told while messages were held to the team is told no more once they are none of it.
    held = [one for one in told if manner.mode is Mode.TEAM or one.mode == Mode.TEAM]
    if held:
        team = reach.of_team(session, service_id)
        beyond = {one.id for one in held if not team.has(Channel(one.type), one.address)}
        told = [one for one in told if one.id not in beyond]
    return told


def _tell(session: Session, told: Sequence[Delivery], fields: dict[str, str | None], meter: Meter, mode: Mode) -> None:
    """Store a message for each address, which continues what was said there."""
    if not told:
        return
    version = templates.put(session, services.own_service(session).id, matters.LAST_WORD, _CONTENT, _AUTHOR)[0]
    subjects = _subjects(session, told)
    messages = [
        ReadyMessage(
            service_id=one.service_id,
            channel=Channel(one.type),
            addresses=(one.address,),
            template=matters.LAST_WORD,
            template_version_id=version.version_id,
            fields=fields,
            content_type="text",
            subject=_subject(one.type, subjects.get(_uid(one)), fields["matter"] or ""),
            recipients=tuple(one.recipients),
            matter=fields["matter"],
            mode=mode,
        )
        for one in told
    ]
    detail = "It tells that its matter is resolved"
    new = ready.accept(session, meter, messages).new.values()
    events.write(session, [events.event("resolved", detail, notification_id=row, at=meter.moment) for row in new])


def _uid(one: Delivery) -> UUID | None:
    return ids.conversation_id(one.matter_id, one.type, one.address) if one.matter_id else None


def _subjects(session: Session, told: Sequence[Delivery]) -> dict[UUID | None, str]:
    """Return the subjects that conversations have begun with."""
    wanted = [uid for one in told if (uid := _uid(one)) is not None]
    found: dict[UUID | None, str] = {}
    for begin in range(0, len(wanted), _AT_ONCE):
        some = Conversation.uid.in_(wanted[begin : begin + _AT_ONCE])
        rows = session.execute(select(Conversation.uid, Conversation.subject).where(some))
        found |= {uid: subject for uid, subject in rows if subject}
    return found


def _subject(channel: str, first: str | None, matter: str) -> str:
    """Name the matter as its reader knows it; mail programs keep a thread together by its subject too."""
    if channel == Channel.EMAIL and first:
        return first if first.lower().startswith("re:") else f"Re: {first}"[:_LONGEST_SUBJECT]
    return f"Resolved: {first or matter}"[:_LONGEST_SUBJECT]
