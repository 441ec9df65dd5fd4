"""A start that cannot succeed says why in one sentence; the command's own entry is called in this process."""

import logging
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import uvicorn
from sqlalchemy import text, update

from backend import cli, worker
from backend.commands.exits import AWAY, CONFIGURATION
from backend.db.database import Database
from backend.db.leases import Lease
from backend.db.models.accounts import ClientSecret
from backend.delivery.providers import routes
from backend.delivery.queueing.heartbeat import Heartbeat
from backend.lib import logs, settings
from tests.factories import laboratory
from tests.full_disk import Disk

Start = Callable[..., tuple[int, str]]


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Start:
    """Run a command that must fail, and give its status and its one sentence.

    One whose setting was let through fails the test instead of serving for ever.
    """

    def served(*_arguments: object, **_options: object) -> None:
        raise AssertionError("it was started")

    monkeypatch.setattr(uvicorn, "run", served)
    monkeypatch.setattr(worker, "run", served)
    routes.routes.cache_clear()
    # The command sends all logging to this test's own standard error.
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)

    def start(*line: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["carillon", *line])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1, said.err
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.err

    return start


@pytest.mark.parametrize(
    "setting",
    [
        "ENV=staging",
        "PORT=eighty",
        "PORT=70000",
        "KEEP_ALIVE_SECONDS=0",
        "BASE_URL=carillon.example",
        "SECRET_KEY=short",
        "DATABASE_URL=mysql://db/carillon",
        "QUEUE_URL=amqp://queue",
        "EMAIL_PROVIDERS=pigeon://roof",
        "EMAIL_PROVIDERS=smtp://mail.example:587?tls=perhaps",
        "EMAIL_PROVIDERS=ses://ID:hunter2@amazon",
        "SMS_PROVIDERS=twilio://AC1:hunter2@api.twilio.com",
        "MAIL_FROM=nobody",
        "RATE_LIMIT=many",
        "DAILY_LIMIT=-1",
        "BATCH_QUIET_SECONDS=soon",
        "BATCH_MAX_ITEMS=0",
        "RETRY_BASE_SECONDS=1e3",
        "RETENTION_DAYS=0",
        "EMAIL_ENABLED=maybe",
        "OUTBOUND_ALLOW=10.0.0.1",
        "METRICS_ALLOW=10.0.0.7/8",
    ],
)
@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_setting_that_cannot_be_used_is_named(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Start,
    command: str,
    setting: str,
) -> None:
    name, _, value = setting.partition("=")
    monkeypatch.setenv(f"CARILLON_{name}", value)
    settings.current.cache_clear()
    status, sentence = refusal(command)
    assert status == CONFIGURATION
    assert f"CARILLON_{name}" in sentence
    assert "hunter2" not in sentence


def test_a_taken_port_is_named(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Start,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, sentence = refusal("serve", "--port", str(port))
    assert status == AWAY
    assert f"CARILLON_PORT {port}" in sentence
    assert "in use" in sentence


@pytest.mark.parametrize("host", ["no such host", "203.0.113.7"])
def test_a_host_that_is_not_this_machine_is_named(database: Database, refusal: Start, host: str) -> None:
    status, sentence = refusal("serve", "--host", host, "--port", "0")
    assert status == CONFIGURATION
    assert f"CARILLON_HOST {host}" in sentence
    assert "CARILLON_PORT" not in sentence


def test_production_wants_a_secret_key(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Start,
) -> None:
    monkeypatch.setenv("CARILLON_ENV", "production")
    monkeypatch.delenv("CARILLON_SECRET_KEY")
    settings.current.cache_clear()
    status, sentence = refusal("serve")
    assert status == CONFIGURATION
    assert "CARILLON_SECRET_KEY must be set in production" in sentence


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_production_does_not_migrate_on_its_own(
    configure: Callable[..., settings.Settings],
    refusal: Start,
    command: str,
) -> None:
    configure(ENV="production")
    status, sentence = refusal(command)
    assert status == AWAY
    assert "carillon migrate" in sentence


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize("env", ["production", "development"])
def test_a_database_of_a_later_release_is_refused(
    database: Database, configure: Callable[..., settings.Settings], refusal: Start, command: str, env: str
) -> None:
    configure(ENV=env)
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        session.execute(text("UPDATE installation SET oldest_code = '9999'"))
    status, sentence = refusal(command)
    assert status == CONFIGURATION
    assert "too new for this release" in sentence


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_database_that_does_not_answer_may_answer_later(
    configure: Callable[..., settings.Settings], refusal: Start, command: str
) -> None:
    configure(DATABASE_URL="postgresql://who:hunter2@127.0.0.1:1/none")
    status, sentence = refusal(command)
    assert status == AWAY
    assert sentence.startswith("Error: CARILLON_DATABASE_URL names a database that cannot be used")
    assert "hunter2" not in sentence


@pytest.mark.parametrize("folder_given", ["{folder}/file/data", "/proc/carillon"])
def test_a_data_directory_that_cannot_be_made_is_named(
    database: Database, configure: Callable[..., settings.Settings], refusal: Start, tmp_path: Path, folder_given: str
) -> None:
    (tmp_path / "file").touch()
    folder = folder_given.format(folder=tmp_path)
    configure(DATA_DIR=folder, DATABASE_URL=os.environ.get("CARILLON_DATABASE_URL", ""), SECRET_KEY="k" * 32)
    status, sentence = refusal("serve")
    assert status == CONFIGURATION
    assert sentence.startswith(f"carillon: CARILLON_DATA_DIR cannot be used: {folder}: ")


def test_a_key_in_a_file_that_is_not_there_is_named(
    configure: Callable[..., settings.Settings], refusal: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(SECRET_KEY="")
    monkeypatch.setenv("CARILLON_SECRET_KEY_FILE", str(tmp_path / "key"))
    settings.current.cache_clear()
    status, sentence = refusal("worker")
    assert status == CONFIGURATION
    assert sentence.startswith("carillon: CARILLON_SECRET_KEY_FILE cannot be read: ")


def test_another_key_than_the_others_have_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    laboratory(database)
    with database.transaction() as session:
        session.execute(update(ClientSecret).values(key_id="0badc0de"))
    monkeypatch.setattr(logs, "configure", lambda **_options: None)
    monkeypatch.setattr(worker, "run", lambda _workers: None)
    with pytest.raises(SystemExit) as ended:
        cli.carillon(["worker"])
    assert ended.value.code == 0
    assert "under the key 0badc0de" in caplog.text


def test_a_worker_says_that_the_disk_takes_no_more(
    database: Database, monkeypatch: pytest.MonkeyPatch, refusal: Start
) -> None:
    disk = Disk(database)

    def run(_size: int) -> None:
        disk.fill()
        Heartbeat(Lease("mine")).start()

    monkeypatch.setattr(worker, "run", run)
    assert refusal("worker") == (AWAY, "carillon: The database, queue or disk cannot be used: it is read-only.\n")
    disk.free_up()
