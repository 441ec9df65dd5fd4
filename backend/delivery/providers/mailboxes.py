"""Which process reads a mailbox of bounces, and how far it has come."""

from datetime import datetime
from typing import Any, cast

import msgspec
from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from backend.db import leases
from backend.db.models.mailboxes import BounceMailbox
from backend.db.statements import insert
from backend.lib import clock


class Progress(msgspec.Struct, frozen=True):
    """How far a mailbox was read, as ``BounceMailbox`` has it."""

    uid_validity: int
    last_uid: int
    read_at: datetime | None = None
    trouble: str | None = None


def claim(session: Session, mailbox: str, token: str) -> Progress | None:
    """Have a mailbox for this process alone, unless another that lives has it.

    Raises:
        LostError: there is no lease of this token.
    """
    leases.check(session, token)
    new = insert(session, BounceMailbox).values(mailbox=mailbox, uid_validity=0, last_uid=0)
    session.execute(new.on_conflict_do_nothing(index_elements=["mailbox"]))
    free = leases.is_free(BounceMailbox.claimed_by, token)
    mine = update(BounceMailbox).where(BounceMailbox.mailbox == mailbox, free).values(claimed_by=token)
    changed = session.execute(mine.execution_options(synchronize_session=False))
    return progress(session, mailbox) if cast("CursorResult[Any]", changed).rowcount else None


def progress(session: Session, mailbox: str) -> Progress | None:
    """Return how far a mailbox was read; None before it was."""
    row = session.execute(
        select(BounceMailbox.uid_validity, BounceMailbox.last_uid, BounceMailbox.read_at, BounceMailbox.trouble).where(
            BounceMailbox.mailbox == mailbox
        )
    ).first()
    return Progress(*row) if row is not None else None


def advance(session: Session, mailbox: str, token: str, uid_validity: int, uid: int) -> None:
    """Say that a message was read.

    Raises:
        LostError: the mailbox is another's by now.
    """
    if not _change(session, mailbox, token, uid_validity=uid_validity, last_uid=uid):
        raise leases.LostError


def let_go(session: Session, mailbox: str, token: str, trouble: str | None) -> None:
    """Give a mailbox back, with what went wrong; it does nothing if it is another's by now."""
    values: dict[str, Any] = {"claimed_by": None, "trouble": trouble}
    _change(session, mailbox, token, **values if trouble else values | {"read_at": clock.now()})


def _change(session: Session, mailbox: str, token: str, **values: Any) -> bool:
    mine = update(BounceMailbox).where(BounceMailbox.mailbox == mailbox, BounceMailbox.claimed_by == token)
    changed = session.execute(mine.values(**values).execution_options(synchronize_session=False))
    return bool(cast("CursorResult[Any]", changed).rowcount)
