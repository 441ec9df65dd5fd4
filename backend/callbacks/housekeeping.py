"""What workers look after at each tick: dropped claims, messages that have come due, new addresses, old messages."""

from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from backend.callbacks import claims, emit, tasks
from backend.db import session as db
from backend.db.models.callbacks import CallbackMessage
from backend.lib import clock, queue, settings
from backend.lib.pace import Pace

_CHUNK = 1000
_pace = Pace()


@queue.periodic
def mend() -> None:
    """Put back what dead workers held, tell what was missed, and post what has come due: first a look, no locks."""
    courier = tasks.courier()
    if courier is None or not emit.wanted():
        return
    token, holding, database = courier.lease.token, courier.holding.ids(), db.current()
    with database.read() as session:
        fresh = emit.anyone_new(session)
        found = claims.stranded(session, token, holding)
    if fresh or found:
        with database.write() as session:
            claims.release(session, found, token, courier.holding.ids())
            if fresh:
                emit.catch_up(session)
    with database.read() as session:
        due = claims.anything_due(session)
    if due:
        courier.post_some()


@queue.periodic
def forget() -> None:
    """Delete messages past their retention: a chunk at each tick until nothing is left, then not for an hour."""
    if not _pace.take():
        return
    with db.current().write() as session:
        gone = forget_old(session)
    if gone == _CHUNK:
        _pace.again()


def forget_old(session: Session) -> int:
    """Delete messages past their retention that nobody holds, at most a chunk; return how many."""
    limit = clock.now() - timedelta(days=settings.current().retention_days)
    old = select(CallbackMessage.id).where(CallbackMessage.created_at < limit, CallbackMessage.claimed_by.is_(None))
    found = session.scalars(old.limit(_CHUNK)).all()
    session.execute(delete(CallbackMessage).where(CallbackMessage.id.in_(found)))
    return len(found)
