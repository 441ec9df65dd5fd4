"""What a service desk tells of its tickets: one that was closed resolves its matter, and ends what was owed for it."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.channels.base import Channel
from backend.channels.provider_address import location
from backend.db import database as db
from backend.db.models.notifications import Delivery, Notification
from backend.delivery.content import matters as known
from backend.intake import matters
from backend.intake.matters import TicketClosed
from backend.obligations import closing

_LONGEST_NAME = 200


class _About(msgspec.Struct, frozen=True):
    """What one service's ticket is about: its matters by name, and the notifications that it was made of."""

    service_id: int
    matters: Sequence[str]
    notifications: Sequence[UUID]


def closed(desk: str, number: str, by: str | None) -> int:
    """Resolve what a ticket of a service desk is about; return how many matters and obligations that ended.

    ``desk`` is where the service desk is, ``by`` who closed it, as it names them. A ticket that was closed before ends
    nothing again, and one that is none of ours nothing at all.

    Raises:
        Problem: ``service_disabled``, or the day's limit of the service.
    """
    who = " ".join((by or "").split())[:_LONGEST_NAME]
    actor = Actor("system", f"{who} (ticket {number})" if who else f"Ticket {number}")
    with db.current().read() as session:
        found = _about(session, desk, number)
    ended = 0
    for one in found:
        for name in one.matters:
            ended += matters.resolve(one.service_id, name, None, actor, ticket=TicketClosed(number))
        ended += _end_alone(one, number, actor)
    return ended


def _about(session: Session, desk: str, number: str) -> list[_About]:
    columns = (Delivery.service_id, Delivery.matter_id, Delivery.provider, Notification.uid)
    all_desks = session.execute(
        select(*columns)
        .outerjoin(Notification, Notification.id == Delivery.notification_id)
        .where(
            Delivery.provider_message_id == number,
            Delivery.type == Channel.FRESHSERVICE.value,
        )
        .order_by(Delivery.id)
    )
    # Each desk counts its own tickets, and its key may have been another when this one was made.
    rows = [row for row in all_desks if row.provider is not None and location(row.provider) == desk]
    found = []
    for service_id in dict.fromkeys(row.service_id for row in rows):
        own = [row for row in rows if row.service_id == service_id]
        names = [known.name_of(session, service_id, one) for one in dict.fromkeys(row.matter_id for row in own) if one]
        uids = [row.uid for row in own if row.uid is not None]
        found.append(_About(service_id, [name for name in names if name is not None], uids))
    return found


def _end_alone(about: _About, number: str, actor: Actor) -> int:
    """End what is owed of a ticket that is about no matter, or was still owed when its matter had been resolved."""
    if not about.notifications:
        return 0
    with db.current().transaction() as session:
        reason = f"The ticket {number} was closed."
        ended = closing.of_notifications(session, about.notifications, actor.name, reason, "TICKET")
        if ended:
            subject, detail = str(about.notifications[0]), {"ticket": number, "obligations": ended}
            audit.record(session, actor, "obligation.closed", subject, service_id=about.service_id, detail=detail)
    return ended
