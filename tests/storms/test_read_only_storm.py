"""PostgreSQL takes nothing for a while, as after a change of servers: whoever is answered is answered truly."""

from pathlib import Path

import httpx2
import psycopg
import pytest

from backend.db.database import Database
from backend.lib import settings
from tests.factories import laboratory
from tests.storms.clients import Clients
from tests.storms.installation import Installation, Mailbox, wait_until
from tests.storms.rows import Row, record
from tests.storms.test_kill_storm import SENDERS, sent

COUNT = 150


def only_read(database: Database, switch: str) -> None:
    """Have the database refuse writes or take them again, also on connections that are open."""
    url = settings.current().queue_url
    with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off") as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {switch}')  # type: ignore[call-overload] # no value of a stranger
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            [name],
        )


@pytest.mark.timeout(240)
def test_every_accepted_notification_arrives(postgres_database: Database, tmp_path: Path) -> None:
    lab = laboratory(postgres_database)
    mailbox = Mailbox(tmp_path / "mailbox")
    with mailbox, Installation(tmp_path, mailbox.address) as home:
        processes = [home.start("serve"), home.start("worker")]
        with Clients(home.base, lab, COUNT, patient=True) as clients:
            wait_until(lambda: len(clients.accepted) >= COUNT // 3, 60, home.lines)
            only_read(postgres_database, "on")
            wait_until(lambda: clients.unavailable > 0, 30, home.lines)
            answer = httpx2.get(f"{home.base}/readyz", trust_env=False, timeout=10)
            only_read(postgres_database, "off")
            wait_until(lambda: not clients.busy(), 60, home.lines)
        postgres_database.close()
        wait_until(lambda: sent(postgres_database) >= COUNT, 60, home.lines)
        assert [process.poll() for process in processes] == [None, None], "neither has to be started again"
        copies = mailbox.copies()
    twice = copies.total() - len(copies)
    record(
        Row(
            fault="PostgreSQL read-only, then not",
            accepted=len(clients.accepted),
            sent=len(copies),
            twice=twice,
            lost=len(clients.accepted) - len(copies),
            stood=clients.longest_wait(),
        )
    )
    assert (answer.status_code, answer.json()["database"]) == (503, "cannot be written to: it is read-only")
    assert not clients.refused
    assert len(clients.accepted) == COUNT == len(copies)
    assert twice <= SENDERS
