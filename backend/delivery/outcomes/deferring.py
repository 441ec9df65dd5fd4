"""Messages that are not sent now after all: put off, or needless by now."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import case, select, update
from sqlalchemy.orm import Session

from backend.channels import simulator
from backend.db import events
from backend.db.models.notifications import Delivery, DeliveryStatus, Priority
from backend.delivery.outcomes import states
from backend.delivery.queueing.claims import Claim
from backend.lib import clock
from backend.obligations import goals
from backend.registry import lookup, sending
from backend.registry.sending import Wait


def keep_back(session: Session, taken: list[Claim]) -> list[Claim]:
    """Return those claims that may leave now; the others are put back, in the transaction that has claimed them."""
    ruled = [one for one in taken if one.rules and not simulator.is_address(one.channel, one.address)]
    if not ruled:
        return taken
    waits = _waits(session, ruled)
    if not waits:
        return taken
    defer(session, waits)
    notifications = {one.notification_id for one in ruled if one.id in waits and one.notification_id is not None}
    states.refresh(session, notifications)
    tell(session, [(one.notification_id, one.batch_id, waits[one.id]) for one in ruled if one.id in waits])
    return [one for one in taken if one.id not in waits]


def _waits(session: Session, ruled: Sequence[Claim]) -> dict[int, Wait]:
    columns = (Delivery.id, Delivery.recipients, Delivery.waits.is_not(None))
    rows = session.execute(select(*columns).where(Delivery.id.in_([one.id for one in ruled]))).all()
    recipients = {row.id: row.recipients for row in rows}
    versions = lookup.versions(session, {one.template_version_id for one in ruled})
    now, found = clock.now(), dict[int, Wait]()
    for one in ruled:
        rules = sending.of_service(session, one.service_id, one.rules)
        template, high = versions[one.template_version_id].identifier, one.priority == Priority.HIGH
        wait = rules.wait(template, recipients[one.id], high=high, moment=now)
        if wait is not None:
            found[one.id] = wait
    over = [identity for identity, _, waited in rows if waited and identity not in found]
    if over:
        let_go = update(Delivery).where(Delivery.id.in_(over)).values(waits=None, waits_why=None)
        session.execute(let_go.execution_options(synchronize_session=False))
    return found


def defer(session: Session, waits: Mapping[int, Wait]) -> None:
    """Let deliveries wait; the one of a batch, whose status its batch follows, stays in the queue until it is due."""
    alike: dict[Wait, list[int]] = defaultdict(list)
    for identity, wait in waits.items():
        alike[wait].append(identity)
    for wait, identities in alike.items():
        values = {
            "status": case(
                (Delivery.batch_id.is_(None), DeliveryStatus.SCHEDULED.value),
                (Delivery.attempts > 0, DeliveryStatus.RETRYING.value),
                else_=DeliveryStatus.QUEUED.value,
            ),
            "claimed_by": None,
            "due_at": wait.until,
            "waits": wait.code,
            "waits_why": wait.detail,
        }
        put_back = update(Delivery).where(Delivery.id.in_(identities)).values(values)
        session.execute(put_back.execution_options(synchronize_session=False))


def tell(session: Session, waits: Collection[tuple[int | None, int | None, Wait]]) -> None:
    """Write into the histories of notifications and batches what they wait for, each wait once."""
    told = [
        events.event("waits", wait.sentence(), notification_id=notification, batch_id=batch)
        for notification, batch, wait in dict.fromkeys(waits)
    ]
    events.write(session, told)


# Messages that nobody needs any more: steps of obligations that ended before they left.
#
# A step's message may be queued or wait for another try while somebody answers by another way. It is looked at as it is
# claimed, so that nothing leaves after what had been answered before.


def drop(session: Session, taken: list[Claim]) -> list[Claim]:
    """Return those claims that are still needed; the others are cancelled, in the transaction that has claimed them.

    That of which nobody knows whether it was sent before is asked for all the same.
    """
    owed = {one.notification_id for one in taken if one.until and one.notification_id and not one.doubt}
    ended = goals.needless(session, owed) if owed else set()
    if not ended:
        return taken
    over = [one for one in taken if one.notification_id in ended and not one.doubt]
    values = {"status": DeliveryStatus.CANCELLED.value, "claimed_by": None, "error": None}
    cancelled = update(Delivery).where(Delivery.id.in_([one.id for one in over])).values(**values)
    session.execute(cancelled.execution_options(synchronize_session=False))
    events.write(
        session,
        events.of_deliveries("cancelled", goals.NEEDLESS, [(one.id, one.notification_id, None) for one in over]),
    )
    states.refresh(session, {one.notification_id for one in over if one.notification_id is not None})
    gone = {one.id for one in over}
    return [one for one in taken if one.id not in gone]
