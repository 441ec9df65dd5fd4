"""What workers do about bounces: one of them reads the mailbox to which they come, once a minute."""

import logging
from collections.abc import Callable
from datetime import timedelta

from backend.db import session as db
from backend.db.leases import Lease, LostError
from backend.delivery import mailboxes
from backend.delivery.mailboxes import Progress
from backend.lib import processes, queue, settings
from backend.lib.pace import Pace
from backend.lib.problems import Problem
from backend.receipts import mailbox as reader
from backend.receipts.mailbox import MailboxFault

logger = logging.getLogger(__name__)

_pace = Pace(timedelta(minutes=1))


class _Present:
    """What this process holds; the worker gives it the lease of its process."""

    lease = Lease(processes.name())
    stopping: Callable[[], bool] = lambda: False


def use(lease: Lease, stopping: Callable[[], bool]) -> None:
    """Read under this lease from now on, until it is ``stopping``."""
    _Present.lease, _Present.stopping = lease, stopping


@queue.periodic
def read_mailbox() -> None:
    """Read what has come to the mailbox of the settings, unless another process does."""
    mailbox = settings.current().bounces
    if mailbox is None or not _pace.take():
        return
    token, progress = _claim(mailbox.key)
    if progress is None:
        return
    trouble: str | None = None
    try:
        if reader.read(mailbox, progress, token, _Present.stopping):
            _pace.again()
    except MailboxFault as fault:
        trouble = str(fault)
        logger.warning("Bounces were not read: %s", trouble)
    except Problem as problem:
        trouble = problem.detail
    except LostError:
        logger.warning("The mailbox of bounces is another worker's by now")
        return
    with db.current().write() as session:
        mailboxes.let_go(session, mailbox.key, token, trouble)


def _claim(key: str) -> tuple[str, Progress | None]:
    token = _Present.lease.ready()
    try:
        with db.current().write() as session:
            return token, mailboxes.claim(session, key, token)
    except LostError:  # there is no lease of this token: the next tick has one that is there
        _Present.lease.doubt()
        _pace.again()
        return token, None
