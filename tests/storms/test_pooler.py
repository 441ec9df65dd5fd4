"""PgBouncer in transaction mode between the processes and PostgreSQL: all goes as without it, and it is told."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from backend.db import database as db
from backend.db.database import Database
from backend.doctor import checks
from backend.doctor.examination import Fault
from backend.lib import postgresql, queue, settings
from tests.factories import laboratory
from tests.pgbouncer import PgBouncer
from tests.storms.clients import Clients
from tests.storms.installation import Installation, Mailbox, wait_until
from tests.storms.rows import ALL
from tests.storms.test_kill_storm import sent

COUNT = 120
SERVERS = 4  # connections to PostgreSQL that all clients of the pooler share
DIRECT, POOLED = "direct", "pooled"


@pytest.fixture
def pooler(postgres_database: Database) -> Iterator[PgBouncer]:
    with PgBouncer(settings.current().database_url, SERVERS) as running:
        yield running


@pytest.fixture(params=[DIRECT, POOLED])
def database(
    request: pytest.FixtureRequest, pooler: PgBouncer, configure: Callable[..., settings.Settings]
) -> Iterator[Database]:
    """Give the database by way of the pooler, with the queue on PostgreSQL itself, or by way of the pooler too."""
    direct = settings.current().queue_url
    configure(DATABASE_URL=pooler.url, QUEUE_URL=direct if request.param == DIRECT else pooler.url)
    present = db.current()
    yield present
    present.close()


def left_behind(pooler: PgBouncer) -> set[tuple[str, int]]:
    """Ask each of the connections that are shared what its last user has set in it, and what was prepared."""
    found: set[tuple[str, int]] = set()
    with ExitStack() as stack:
        for _ in range(SERVERS):
            connection = stack.enter_context(psycopg.connect(pooler.url, prepare_threshold=None))
            row = connection.execute(
                "SELECT current_setting('synchronous_commit'), (SELECT count(*) FROM pg_prepared_statements)"
                " + (SELECT count(*) FROM pg_listening_channels())"
            ).fetchone()
            assert row is not None
            found.add((row[0], row[1]))
    return found


@pytest.mark.timeout(240)
@pytest.mark.parametrize("database", [DIRECT, POOLED] if ALL else [POOLED], indirect=True)
def test_every_accepted_notification_arrives_once(
    database: Database, pooler: PgBouncer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    lab = laboratory(database)
    mailbox = Mailbox(tmp_path / "mailbox")
    with mailbox, Installation(tmp_path, mailbox.address) as home:
        home.start("serve")
        home.start("worker")
        home.start("worker")
        with Clients(home.base, lab, COUNT) as clients:
            wait_until(lambda: not clients.busy(), 60, home.lines)
            wait_until(lambda: sent(database) >= COUNT, 60, home.lines)
            copies = mailbox.copies()
            said = home.lines()
    assert not clients.refused
    assert len(copies) == copies.total() == COUNT
    assert "Traceback" not in said, said
    assert left_behind(pooler) == {("on", 0)}
    assert ("Name PostgreSQL itself in CARILLON_QUEUE_URL" in said) == (request.node.callspec.id == POOLED)


def test_the_doctor_says_what_is_slower(database: Database, request: pytest.FixtureRequest) -> None:
    look = next(check.look for check in checks.CHECKS if check.name == "queue")
    if request.node.callspec.id == DIRECT:
        assert "takes what is written" in look()
    else:
        with pytest.raises(Fault, match="leads through a pooler"):
            look()
    queue.reset()


def test_a_pooler_is_recognised(pooler: PgBouncer) -> None:
    for url, pooled in ((pooler.url, True), (settings.current().queue_url, False)):
        with postgresql.connect(psycopg.Connection, url) as connection:
            assert postgresql.is_pooled(connection) == pooled
            assert (connection.prepare_threshold is None) == pooled
