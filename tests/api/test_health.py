"""Health: the process, the database with its migrations, the queue."""

import time
from collections.abc import Callable

import pytest
from litestar.testing import TestClient

from backend.api import health
from backend.db.session import Database
from backend.lib import queue, settings
from tests.application import application


def test_the_process_is_up_without_any_database(configure: Callable[..., settings.Settings]) -> None:
    configure()
    with TestClient(application()) as client:
        answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["cache-control"] == "no-store"


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
    with database.write() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = 'before'")
    with TestClient(application()) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "it is at before" in answer.json()["database"]


def test_an_unreachable_queue_is_named_without_its_address(
    configure: Callable[..., settings.Settings], database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    configure(QUEUE_URL="redis://:hidden-password@127.0.0.1:1/0")
    with TestClient(application()) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["queue"] == "unreachable"
    assert answer.json()["database"] == "ok"
    assert "hidden-password" not in answer.text + caplog.text


def test_a_silent_part_is_not_waited_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = queue.huey().storage

    def never(_limit: int) -> None:
        time.sleep(0.2)

    monkeypatch.setattr(silent, "enqueued_items", never)
    monkeypatch.setattr(health, "_PATIENCE_SECONDS", 0.01)
    with TestClient(application()) as client:
        answer = client.get("/readyz")
    assert answer.json()["queue"] == "does not answer"
