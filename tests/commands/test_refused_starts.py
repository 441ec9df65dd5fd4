"""A start that cannot succeed says why in one sentence; the command's own entry is called in this process."""

import logging
import socket
import sys
from collections.abc import Callable

import pytest
import uvicorn

from backend import cli, worker
from backend.db.leases import Lease
from backend.db.session import Database
from backend.delivery import routes
from backend.delivery.heartbeat import Heartbeat
from backend.lib import settings
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
    assert status == 2
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
    assert status == 1
    assert f"CARILLON_PORT {port}" in sentence
    assert "in use" in sentence


@pytest.mark.parametrize("host", ["no such host", "203.0.113.7"])
def test_a_host_that_is_not_this_machine_is_named(database: Database, refusal: Start, host: str) -> None:
    status, sentence = refusal("serve", "--host", host, "--port", "0")
    assert status == 1
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
    assert status == 2
    assert "CARILLON_SECRET_KEY must be set in production" in sentence


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_production_does_not_migrate_on_its_own(
    configure: Callable[..., settings.Settings],
    refusal: Start,
    command: str,
) -> None:
    configure(ENV="production")
    status, sentence = refusal(command)
    assert status == 1
    assert "carillon migrate" in sentence


def test_a_worker_says_that_the_disk_takes_no_more(
    database: Database, monkeypatch: pytest.MonkeyPatch, refusal: Start
) -> None:
    disk = Disk(database)

    def run(_size: int) -> None:
        disk.fill()
        Heartbeat(Lease("mine")).start()

    monkeypatch.setattr(worker, "run", run)
    assert refusal("worker") == (1, "carillon: The database, queue or disk cannot be used: it is read-only.\n")
    disk.make_room()
