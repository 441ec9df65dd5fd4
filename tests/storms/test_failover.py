"""The PostgreSQL that is written to crashes and its replica takes over: the address names both, and seconds pass."""

import pwd
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.db import database as db
from backend.db import migrate
from backend.db.database import Database
from backend.lib import settings
from tests.factories import laboratory
from tests.postgres_pair import Pair
from tests.storms.clients import Clients
from tests.storms.installation import Installation, Mailbox, wait_until
from tests.storms.rows import Row, record
from tests.storms.test_kill_storm import SENDERS, sent

COUNT = 150


@pytest.fixture
def pair(postgres_url: str) -> Iterator[Pair]:
    """Start both as the user who owns the other server of the tests."""
    folder = Path(postgres_url.partition("host=")[2])
    with Pair(pwd.getpwuid(folder.stat().st_uid).pw_name) as running:
        yield running


@pytest.fixture
def database(pair: Pair, configure: Callable[..., settings.Settings]) -> Iterator[Database]:
    configure(DATABASE_URL=pair.url)
    present = db.current()
    migrate.upgrade(present)
    yield present
    present.close()


@pytest.mark.timeout(240)
def test_every_accepted_notification_arrives(database: Database, pair: Pair, tmp_path: Path) -> None:
    lab = laboratory(database)
    mailbox = Mailbox(tmp_path / "mailbox")
    with mailbox, Installation(tmp_path, mailbox.address) as home:
        processes = [home.start("serve"), home.start("worker")]
        with Clients(home.base, lab, COUNT, patient=True) as clients:
            wait_until(lambda: len(clients.accepted) >= COUNT // 3, 60, home.lines)
            pair.take_over()
            wait_until(lambda: not clients.busy(), 60, home.lines)
        wait_until(lambda: sent(database) >= COUNT, 60, home.lines)
        assert [process.poll() for process in processes] == [None, None], "neither has to be started again"
        copies = mailbox.copies()
    stood, twice = clients.longest_wait(), copies.total() - len(copies)
    accepted = len(clients.accepted)
    fault = "PostgreSQL crashed, its replica took over"
    record(Row(fault=fault, accepted=accepted, sent=len(copies), twice=twice, lost=accepted - len(copies), stood=stood))
    assert not clients.refused
    assert len(clients.accepted) == COUNT == len(copies)
    assert twice <= SENDERS, "no more than was in a hand when the first server went away"
    assert stood < 15, "seconds"
