"""Sending again, in one step, all that fails for one reason."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.batching import manage
from backend.corrections import preview
from backend.db import database as db
from backend.db.models.notifications import Delivery
from backend.delivery import again
from backend.delivery.outcomes import resend, resend_log
from backend.delivery.outcomes.resend import Done
from backend.delivery.outcomes.resend_log import Item
from backend.intake import resubmit
from backend.lib.problems import Problem
from backend.reports import failing
from backend.reports.failing import Failure


def send(service_id: int, key: str, by: Actor) -> UUID | None:
    """Send again what fails so; return the public id of the report, or ``None`` if nothing of it can go.

    Refused notifications are validated afresh, batches that did not become a message are dispatched again, and messages
    go to the present addresses of their recipients. What another person has sent again meanwhile is left alone.

    Raises:
        Problem: ``not_found`` if nothing fails so (any more).
    """
    with db.current().read() as session:
        group = failing.group(session, service_id, key)
    if group is None:
        raise Problem("not_found", "Nothing of this service fails so any more.")
    return send_failures(service_id, group.failures, by, reason=group.trouble.reason, recipient=group.trouble.recipient)


def send_failures(
    service_id: int, failures: Sequence[Failure], by: Actor, *, reason: str, recipient: str | None = None
) -> UUID | None:
    """Send failures again as ``send`` does a whole group; ``reason`` and ``recipient`` stand in the report."""
    items = [*_validate(service_id, failures, by), *_dispatch(service_id, failures, by)]
    with db.current().transaction() as session:
        done = _queue(session, service_id, failures, by)
        items += resend_log.items(done.messages)
        if not done.resolved and not any(item.notification_id and not item.messages for item in items):
            return None
        named = {"reason": reason, "recipient": recipient}
        uid = resend_log.record(session, service_id, by, items, **named)
        detail = {"messages": done.queued, "notifications": len(items), **named}
        audit.record(session, by, "failures.sent_again", str(uid), service_id=service_id, detail=detail)
    again.wake(done.priorities)
    return uid


def _validate(service_id: int, failures: Sequence[Failure], by: Actor) -> Iterator[Item]:
    for one in failures:
        if one.refused:
            try:
                problem = resubmit.resubmit(service_id, one.notification, by)
            except Problem:  # it was accepted meanwhile, or its content was not kept
                continue
            yield Item(notification_id=one.notification_id, refused=problem.detail if problem else None)


def _dispatch(service_id: int, failures: Sequence[Failure], by: Actor) -> Iterator[Item]:
    for uid, one in preview.unmade(failures).items():
        try:
            manage.flush_now(service_id, one.aggregator_id or "", only=uid, by=by)
        except Problem:  # it was dispatched meanwhile
            continue
        members = {other.notification_id for other in failures if other.batch_uid == uid}
        yield from (Item(notification_id=row, batch_id=one.batch_id) for row in sorted(members))


def _queue(session: Session, service_id: int, failures: Sequence[Failure], by: Actor) -> Done:
    rows = [one.id for one in preview.deliveries(session, service_id, failures)]
    found = resend.failed(session, Delivery.id.in_(rows))
    return resend.queue_anew(session, service_id, found, f"asked for by {by.name}.")
