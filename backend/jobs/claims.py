"""One worker at a time works on a spreadsheet: a claim under the token of its lease, which each step names again."""

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from backend.db import leases, statements
from backend.db.leases import Lease, LostError
from backend.db.models.spreadsheets import MOVING, Spreadsheet, Stage
from backend.lib import clock


class Claims:
    """What the threads of one worker process hold: a claim of its own that no thread knows of can be taken again."""

    def __init__(self, lease: Lease | str) -> None:
        self.lease = Lease(lease) if isinstance(lease, str) else lease
        self._lock = threading.Lock()
        self._held: set[int] = set()

    def take(self, session: Session, token: str, job_id: int) -> bool:
        """Claim a spreadsheet under a token, if a worker has something to do for it now and no other one does it.

        Raises:
            LostError: if there is no lease of this token.
        """
        with self._lock:
            if job_id in self._held:
                return False
            statement = (
                update(Spreadsheet)
                .where(Spreadsheet.job_id == job_id, *_due(), leases.is_free(Spreadsheet.claimed_by, token))
                .values(claimed_by=token)
                .returning(Spreadsheet.id)
                .execution_options(synchronize_session=False)
            )
            leases.check(session, token)
            taken = session.execute(statement).first() is not None
            if taken:
                self._held.add(job_id)
            return taken

    def let_go(self, job_id: int) -> None:
        """Hold a spreadsheet no longer, whatever the database says of it."""
        with self._lock:
            self._held.discard(job_id)


def _due() -> tuple[ColumnElement[bool], ...]:
    return statements.one_of(Spreadsheet.stage, MOVING), Spreadsheet.due_at <= clock.now()


def waiting(session: Session, mine: str, limit: int) -> Sequence[int]:
    """List the jobs for which a worker has something to do now and none does it."""
    wanted = select(Spreadsheet.job_id).where(*_due(), leases.is_free(Spreadsheet.claimed_by, mine))
    return session.scalars(wanted.order_by(Spreadsheet.due_at).limit(limit)).all()


def held(session: Session, job_id: int, token: str, stage: Stage) -> Spreadsheet:
    """Return the spreadsheet, locked until the transaction ends, to write down what was done.

    Raises:
        LostError: if it is no longer this worker's, or no longer at this stage.
    """
    own = (Spreadsheet.job_id == job_id, Spreadsheet.claimed_by == token, Spreadsheet.stage == stage.value)
    found = session.scalar(select(Spreadsheet).where(*own).with_for_update())
    if found is None:
        raise LostError
    return found


def release(session: Session, job_id: int, token: str) -> None:
    """Give a spreadsheet back."""
    own = (Spreadsheet.job_id == job_id, Spreadsheet.claimed_by == token)
    _set(session, own, claimed_by=None)


def postpone(session: Session, job_id: int, token: str, until: datetime, note: str) -> None:
    """Let a spreadsheet rest, and say why."""
    own = (Spreadsheet.job_id == job_id, Spreadsheet.claimed_by == token)
    _set(session, own, due_at=until, note=note)


def _set(session: Session, own: tuple[ColumnElement[bool], ...], **values: Any) -> None:
    session.execute(update(Spreadsheet).where(*own).values(**values).execution_options(synchronize_session=False))
