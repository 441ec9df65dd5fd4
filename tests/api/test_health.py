"""Health: the process, the database with its migrations, the queue."""

import threading
from collections.abc import Callable
from importlib.metadata import version

import pytest
from litestar.testing import TestClient

from backend.api import health
from backend.db import probe
from backend.db.database import Database
from backend.lib import queue, settings
from tests.application import application
from tests.conftest import MovableClock
from tests.full_disk import Disk
from tests.redis_queue import RedisServer

SLOWER = (
    "takes no wake-ups since 2026-03-02T09:00:00Z, it cannot be reached: "
    "messages leave some seconds later than they could"
)


@pytest.fixture(autouse=True)
def ask_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_FRESH_SECONDS", 0.0)
    # One that another test has left waiting keeps its answer to itself.
    monkeypatch.setattr(health, "_database", health._Probe(health._probe_database, lambda: None))
    monkeypatch.setattr(health, "_queue", health._Probe(health._probe_queue, lambda: None))


def test_the_process_is_up_without_any_database(configure: Callable[..., settings.Settings]) -> None:
    configure()
    with TestClient(application()) as client:
        answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": version("carillon")})
    assert answer.headers["cache-control"] == "no-store"


def test_the_release_is_told_to_those_who_roll_it_out_alone(configure: Callable[..., settings.Settings]) -> None:
    configure()
    with TestClient(application()) as client:
        assert client.head("/healthz").headers["carillon-version"] == version("carillon")
        others = [client.get(path) for path in ("/portal/sign-in", "/nowhere", "/notifications/v1")]
        assert [answer for answer in others if "carillon-version" in answer.headers] == []


def test_head_is_answered_as_get_is(configure: Callable[..., settings.Settings]) -> None:
    configure()
    with TestClient(application()) as client:
        assert client.head("/healthz").status_code == 200
        assert client.head("/nowhere").status_code == 404


def test_a_migrated_database_and_a_queue_are_ready(database: Database) -> None:
    with TestClient(application()) as client:
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "database": "ok", "queue": "ok"})


def test_a_database_without_tables_is_not_ready(configure: Callable[..., settings.Settings]) -> None:
    configure()
    with TestClient(application()) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    body = answer.json()
    assert (body["status"], body["queue"]) == ("not ready", "ok")
    assert "carillon migrate" in body["database"]


def test_an_old_database_is_not_ready(database: Database) -> None:
    with database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = 'before'")
    with TestClient(application()) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "it is at before" in answer.json()["database"]


def test_a_queue_that_is_away_is_no_reason_to_take_the_process_away(
    configure: Callable[..., settings.Settings],
    database: Database,
    moving_clock: MovableClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    configure(QUEUE_URL="redis://:hidden-password@127.0.0.1:1/0")
    with TestClient(application()) as client:
        answer = client.get("/readyz")
        moving_clock.forward(seconds=60)
        later = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "degraded", "database": "ok", "queue": SLOWER})
    assert later.json() == answer.json(), "it says since when"
    assert "hidden-password" not in answer.text + caplog.text
    assert caplog.text.count("The queue does not take wake-ups") == 1
    queue.reset()


def test_a_redis_that_takes_nothing_is_not_ready_as_if_all_were_well_though_it_answers(
    redis_database: Database, redis_server: RedisServer
) -> None:
    with TestClient(application()) as client, redis_server.full():
        answer = client.get("/readyz")
    assert answer.json()["status"] == "degraded"


def test_a_database_that_only_reads_is_not_ready(postgres_database: Database) -> None:
    with TestClient(application()) as client:
        assert client.get("/readyz").json()["status"] == "ready"
        with postgres_database.engine.connect() as connection:
            name = connection.exec_driver_sql("SELECT current_database()").scalar()
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
            connection.commit()
        postgres_database.close()
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"] == "cannot be written to: it is read-only"


def test_a_file_that_is_only_read_is_not_ready(database: Database) -> None:
    disk = Disk(database)
    with TestClient(application()) as client, disk.filled("read only"):
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"] == "cannot be written to: it is read-only"


def test_a_silent_part_is_not_waited_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = queue.huey().storage
    asked = threading.Event()

    def never(_key: str, _value: bytes) -> None:
        asked.wait(10)

    monkeypatch.setattr(silent, "put_data", never)
    monkeypatch.setattr(health, "_PATIENCE_SECONDS", 0.05)
    with TestClient(application()) as client:
        answer = client.get("/readyz")
    asked.set()
    assert answer.json()["queue"].startswith("takes no wake-ups, it does not answer")


def test_a_silent_database_does_not_hide_what_the_queue_says(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_PATIENCE_SECONDS", 0.3)
    with TestClient(application()) as client, postgres_database.transaction() as session:
        assert client.get("/readyz").json()["database"] == "ok", "the first look finds everything"
        session.connection().exec_driver_sql("LOCK TABLE alembic_version")
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert (answer.json()["database"], answer.json()["queue"]) == ("does not answer", "ok")


def test_who_asks_again_at_once_costs_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_FRESH_SECONDS", 60.0)
    written: list[Database] = []
    monkeypatch.setattr(probe, "touch", written.append)
    with TestClient(application()) as client:
        assert [client.get("/readyz").status_code for _ in range(20)] == [200] * 20
    assert len(written) == 1
