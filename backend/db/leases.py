"""Leases: who may do something with what it has claimed, whatever the clocks say.

A worker process holds one lease, a row of ``workers``. Its name is the token in ``claimed_by`` of everything that the
process claims, which every write about such a claim names: a claim whose token has no row is nobody's any more. The
process extends its lease every few seconds, by counting. Whoever sees that a lease has not been extended for the
whole of its length, by seconds that he has counted himself, may strike it out, if it still has not been at that
moment: so an extension and a striking-out cannot both succeed, and no wall clock is asked.

Before anything leaves the application its claim's lease is confirmed in the database, unless that was done a moment
ago. So a process that was stopped, for however long, gives away nothing that may be another's by now, but what was on
the wire when it was stopped. It goes on under a new token, for a token that was struck out never comes back.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

import msgspec
from sqlalchemy import ColumnElement, CursorResult, String, and_, bindparam, delete, exists, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from backend.db import database as db
from backend.db.models.operations import Worker
from backend.db.statements import insert
from backend.lib import clock, processes
from backend.lib.processes import Fate

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A lease is struck out when it was not extended for so long; its holder does so every few seconds.
LENGTH = timedelta(seconds=20)
EXTEND_SECONDS = 3.0
# Older than this, an extension is not relied on before something leaves.
_RELY_SECONDS = LENGTH.total_seconds() / 3
# One that has just been made may have taken longer.
_SLOW_SECONDS = _RELY_SECONDS * 2
# Who has not looked for longer than this has not observed that nothing happened meanwhile.
_GAP_SECONDS = LENGTH.total_seconds() / 2


class LostError(Exception):
    """What was claimed is another's by now, or nobody's: nothing more may be done with it."""


class _Confirmed(msgspec.Struct, frozen=True):
    """The present token, and when it was last confirmed; ``None`` before it was, or while that is unknown."""

    token: str
    confirmed: float | None


class Lease:
    """The lease of this process, or of one worker in a test; it is registered when it is first needed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._generation = 1
        self._confirmed = _Confirmed(name, None)
        self._known = False
        self._ended = False
        self._lock = threading.Lock()

    @property
    def token(self) -> str:
        """Return the token for what is claimed from now on."""
        return self._confirmed.token

    def ready(self) -> str:
        """Return the token for what is claimed from now on, registered."""
        if self._confirmed.confirmed is None:
            self.extend()
        return self._confirmed.token

    def confirm(self, token: str) -> None:
        """See that what was claimed under ``token`` is ours still; the database is asked if that is not certain.

        Raises:
            LostError: if it is not.
            SQLAlchemyError: if the database did not answer.
        """
        held = self._confirmed
        if held.token == token and _is_fresh(held, _RELY_SECONDS) and not self._ended:
            return
        with self._lock:
            # Another thread may have been first; if it then took long, once more.
            while self._confirmed.token == token and not self._ended and not _is_fresh(self._confirmed, _RELY_SECONDS):
                self._extend()
                if _is_fresh(self._confirmed, _SLOW_SECONDS):
                    break
            if self._confirmed.token != token or self._ended:
                raise LostError

    def extend(self) -> None:
        """Extend the lease, or take a new one in the place of one that was struck out.

        Raises:
            SQLAlchemyError: if the database did not answer.
        """
        with self._lock:
            if not self._ended:
                self._extend()

    def claim(self, claim: Callable[[str], T]) -> T:
        """Have something claimed under a token that is registered: once more where the database knows it no longer.

        Raises:
            LostError: if that one is gone by then too.
        """
        try:
            return claim(self.ready())
        except LostError:
            with self._lock:
                self._confirmed = _Confirmed(self._confirmed.token, None)
            return claim(self.ready())

    def end(self) -> None:
        """Give the lease back for good: from this moment on nothing leaves, and all that is claimed is nobody's.

        Raises:
            SQLAlchemyError: if the database cannot be told; then others will find that the lease is not extended.
        """
        with self._lock:
            self._ended = True
            with db.current().transaction() as session:
                session.execute(delete(Worker).where(Worker.name == self._confirmed.token))

    def _extend(self) -> None:
        began = clock.elapsed()  # before the database is asked: others may count from any moment after this
        token = self._confirmed.token
        with db.current().transaction() as session:
            if not _counted(session, token):
                token = self._following()
                _register(session, token)
        if self._known and token != self._confirmed.token:
            logger.warning("This worker was taken for dead; what it had claimed is left to others, and it goes on anew")
        self._generation += token != self._confirmed.token
        self._known = True
        self._confirmed = _Confirmed(token, began)

    def _following(self) -> str:
        """Name the next lease; the very first one has the process's own name."""
        return f"{self._name}+{self._generation + 1}" if self._known else self._confirmed.token


def _is_fresh(held: _Confirmed, seconds: float) -> bool:
    # A count that goes backwards is none to rely on.
    return held.confirmed is not None and 0 <= clock.elapsed() - held.confirmed < seconds


def _counted(session: Session, token: str) -> bool:
    beats = Worker.beats + 1
    mine = update(Worker).where(Worker.name == token).values(beats=beats, seen_at=clock.now())
    result = session.execute(mine.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount == 1


def _register(session: Session, token: str) -> None:
    """Begin a lease; it may be there if the answer to an earlier try was lost."""
    now = clock.now()
    statement = insert(session, Worker).values(name=token, started_at=now, seen_at=now, beats=0)
    again = {"beats": Worker.beats + 1, "seen_at": now}
    session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=again))


class Mark(msgspec.Struct, frozen=True):
    """How a lease looked; the moment counts only in that it changes, as programs did that count nothing."""

    beats: int
    seen_at: datetime


class Observer:
    """Counts for this process for how long it has seen each lease unchanged."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[Mark, float]] = {}
        self._last: float | None = None

    def lapsed(self, session: Session) -> dict[str, Mark]:
        """Look at all leases; return those to be struck out, as they look now.

        A process of this machine is checked by whether it is there: one that is stopped is not dead, one that is gone
        need not be waited for.
        """
        rows = session.execute(select(Worker.name, Worker.beats, Worker.seen_at)).all()
        now = clock.elapsed()
        if self._last is None or not 0 <= now - self._last <= _GAP_SECONDS:
            self._since = {}
        self._last = now
        known, self._since = self._since, {}
        for name, beats, seen_at in rows:
            mark = Mark(beats, seen_at)
            before = known.get(name)
            self._since[name] = before if before is not None and before[0] == mark else (mark, now)
        return {name: mark for name, (mark, since) in self._since.items() if _is_over(name, now - since)}

    def reset(self) -> None:
        """Begin anew, since the database was away, and with it everybody's extensions."""
        self._since, self._last = {}, None


def _is_over(name: str, unchanged: float) -> bool:
    found = processes.fate(name)
    return found is Fate.GONE or (found is Fate.UNKNOWN and unchanged >= LENGTH.total_seconds())


def strike_out(session: Session, lapsed: Mapping[str, Mark]) -> list[str]:
    """End leases that have not been extended since they were looked at; return which."""
    struck: list[str] = []
    for name, mark in lapsed.items():
        unchanged = (Worker.name == name, Worker.beats == mark.beats, Worker.seen_at == mark.seen_at)
        ended = session.execute(delete(Worker).where(*unchanged).execution_options(synchronize_session=False))
        if cast("CursorResult[Any]", ended).rowcount:
            struck.append(name)
    return struck


def is_orphaned(claimed_by: InstrumentedAttribute[str | None], mine: str) -> ColumnElement[bool]:
    """Tell which rows are claimed under a token whose lease has ended, or under ``mine``.

    Of the latter the process itself knows which it has in flight, so that it leaves those out.
    """
    return or_(claimed_by == mine, and_(claimed_by.is_not(None), claimed_by.not_in(select(Worker.name))))


def is_free(claimed_by: InstrumentedAttribute[str | None], mine: str) -> ColumnElement[bool]:
    """Tell which rows may be claimed under ``mine``: those that nobody has, and those that are orphaned."""
    return or_(claimed_by.is_(None), is_orphaned(claimed_by, mine))


def check(session: Session, token: str) -> None:
    """See that a lease is there: nothing is claimed without one.

    Raises:
        LostError: if it is not.
    """
    if session.scalar(select(Worker.name).where(Worker.name == token)) is None:
        raise LostError


def is_there(parameter: str) -> ColumnElement[bool]:
    """Tell whether the lease is there whose token is bound to ``parameter``, as ``check`` does within a statement."""
    return exists().where(Worker.name == bindparam(parameter, type_=String()))
