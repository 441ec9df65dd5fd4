"""What workers look after at each tick: dropped claims, messages that have come due, new addresses, old messages."""

from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from backend.callbacks import claims, emit, subscriptions, tasks
from backend.db import database as db
from backend.db.models.callbacks import CallbackMessage
from backend.lib import clock, queue, settings
from backend.lib.throttle import Throttle

_CHUNK = 1000
_hourly = Throttle()


@queue.periodic
def reap() -> None:
    """Put back what dead workers held, tell what was missed, and post what has come due: first a look, no locks."""
    webhook_sender = tasks.webhook_sender()
    if webhook_sender is None or not subscriptions.wanted():
        return
    token, holding, database = webhook_sender.lease.token, webhook_sender.holding.ids(), db.current()
    with database.read() as session:
        fresh = emit.anyone_new(session)
        found = claims.orphaned(session, token, holding)
    if fresh or found:
        with database.transaction() as session:
            claims.release(session, found, token, webhook_sender.holding.ids())
            if fresh:
                emit.catch_up(session)
    with database.read() as session:
        due = claims.anything_due(session)
    if due:
        webhook_sender.post_some()


@queue.periodic
def purge() -> None:
    """Delete messages past their retention: a chunk at each tick until nothing is left, then not for an hour."""
    if not _hourly.take():
        return
    with db.current().transaction() as session:
        gone = purge_old(session)
    if gone == _CHUNK:
        _hourly.again()


def purge_old(session: Session) -> int:
    """Delete messages past their retention that nobody holds, at most a chunk; return how many."""
    limit = clock.now() - timedelta(days=settings.current().retention_days)
    old = select(CallbackMessage.id).where(CallbackMessage.created_at < limit, CallbackMessage.claimed_by.is_(None))
    found = session.scalars(old.limit(_CHUNK)).all()
    session.execute(delete(CallbackMessage).where(CallbackMessage.id.in_(found)))
    return len(found)
