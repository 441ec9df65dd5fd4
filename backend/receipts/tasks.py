"""What workers do about bounces: one of them reads the mailbox to which they come, once a minute."""

import logging
from collections.abc import Callable
from datetime import timedelta

from backend.db import database as db
from backend.db.leases import Lease, LostError
from backend.delivery.providers import mailboxes
from backend.delivery.providers.mailboxes import Progress
from backend.lib import processes, queue, settings
from backend.lib.problems import Problem
from backend.lib.throttle import Throttle
from backend.receipts import mailbox as reader
from backend.receipts.mailbox import MailboxFault

logger = logging.getLogger(__name__)

_once_a_minute = Throttle(timedelta(minutes=1))


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
    if mailbox is None or not _once_a_minute.take():
        return
    token, progress = _Present.lease.claim(lambda token: _claim(mailbox.key, token))
    if progress is None:
        return
    trouble: str | None = None
    try:
        if reader.read(mailbox, progress, token, _Present.stopping):
            _once_a_minute.again()
    except MailboxFault as fault:
        trouble = str(fault)
        logger.warning("Bounces were not read: %s", trouble)
    except Problem as problem:
        trouble = problem.detail
    except LostError:
        logger.warning("The mailbox of bounces is another worker's by now")
        return
    with db.current().transaction() as session:
        mailboxes.let_go(session, mailbox.key, token, trouble)


def _claim(key: str, token: str) -> tuple[str, Progress | None]:
    with db.current().transaction() as session:
        return token, mailboxes.claim(session, key, token)
