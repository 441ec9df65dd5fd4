"""Which letters are in which machine's spool folder, for the workers of all machines to see."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, and_, delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from backend.channels import letter
from backend.channels.base import Begun
from backend.db import database as db
from backend.db.models.letters import SpooledLetter
from backend.db.statements import insert
from backend.lib import clock, settings

# Writing a letter down takes milliseconds: what has been begun for so long was left by a worker that was stopped.
_UNFINISHED_AFTER = timedelta(minutes=1)
# A machine that has not come back by then, as after a loss of its disk, gives up what it had begun.
_TAKEN_OVER_AFTER = timedelta(days=1)
_CHUNK = 1000


@contextmanager
def _within_reach() -> Iterator[None]:
    """Tell the provider, which knows no database, that the register cannot be used."""
    try:
        yield
    except SQLAlchemyError as error:
        raise OSError(f"the register of letters cannot be used ({type(error).__name__})") from error


class LetterRegister:
    """The register in the database."""

    def begin(self, delivery_id: str, holder: str) -> Begun:
        """Say who has begun on a letter: ``holder``, unless another folder's worker has before.

        Raises:
            OSError: if the database cannot be used.
        """
        uid = UUID(delivery_id)
        values = {"delivery_uid": uid, "spool": holder, "machine": socket.gethostname(), "begun_at": clock.now()}
        abandoned = and_(SpooledLetter.place.is_(None), SpooledLetter.begun_at < clock.now() - _TAKEN_OVER_AFTER)
        with _within_reach(), db.current().transaction() as session:
            begun = insert(session, SpooledLetter).values(values)
            mine = {name: begun.excluded[name] for name in ("spool", "machine", "begun_at")}
            session.execute(begun.on_conflict_do_update(index_elements=["delivery_uid"], set_=mine, where=abandoned))
            row = session.scalars(select(SpooledLetter).where(SpooledLetter.delivery_uid == uid)).one()
            done = row.place is not None
            told = letter.receipt(row.place or "", row.pages or 0, row.machine) if done else None
            return Begun(holder=row.spool, machine=row.machine, receipt=told)

    def end(self, delivery_id: str, holder: str, location: str, pages: int) -> bool:
        """Write down that a letter is spooled; false if another folder's worker has taken it over meanwhile.

        Raises:
            OSError: if the database cannot be used.
        """
        own = (SpooledLetter.delivery_uid == UUID(delivery_id), SpooledLetter.spool == holder)
        with _within_reach(), db.current().transaction() as session:
            ended = session.execute(update(SpooledLetter).where(*own).values(place=location, pages=pages))
            return bool(cast("CursorResult[Any]", ended).rowcount)

    def unfinished(self, holder: str) -> Sequence[str]:
        """List the letters that a folder's workers have begun a while ago and not ended.

        Raises:
            OSError: if the database cannot be used.
        """
        old = (SpooledLetter.place.is_(None), SpooledLetter.begun_at < clock.now() - _UNFINISHED_AFTER)
        wanted = select(SpooledLetter.delivery_uid).where(SpooledLetter.spool == holder, *old).limit(_CHUNK)
        with _within_reach(), db.current().read() as session:
            return [str(uid) for uid in session.scalars(wanted)]

    def release(self, delivery_id: str, holder: str) -> None:
        """Let others begin on a letter of which no manifest is there.

        Raises:
            OSError: if the database cannot be used.
        """
        own = (SpooledLetter.delivery_uid == UUID(delivery_id), SpooledLetter.spool == holder)
        with _within_reach(), db.current().transaction() as session:
            session.execute(delete(SpooledLetter).where(*own, SpooledLetter.place.is_(None)))


def purge(session: Session) -> int:
    """Delete some entries that are past their retention; return how many."""
    limit = clock.now() - timedelta(days=settings.current().retention_days)
    old = select(SpooledLetter.id).where(SpooledLetter.begun_at < limit).limit(_CHUNK)
    gone = session.scalars(old).all()
    session.execute(delete(SpooledLetter).where(SpooledLetter.id.in_(gone)))
    return len(gone)
