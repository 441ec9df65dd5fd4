"""A wake-up that the queue did not take is no loss: the worker's timer finds what is due, and needs no queue."""

from collections.abc import Callable, Iterator

import pytest

from backend.db.database import Database
from backend.delivery import tasks
from backend.delivery.providers import routes
from backend.intake.accept import Accepted, accept_many
from backend.lib import queue, settings
from tests.factories import laboratory, notification
from tests.smtp_server import SmtpServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        monkeypatch.setenv("CARILLON_EMAIL_PROVIDERS", running.address)
        routes.routes.cache_clear()
        yield running
    routes.routes.cache_clear()


def use_queue(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CARILLON_QUEUE_URL", url)
    settings.current.cache_clear()
    queue.reset()


def test_the_tick_finds_what_no_wake_up_reached(
    any_engine: Database,
    server: SmtpServer,
    configure: Callable[..., settings.Settings],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    lab = laboratory(any_engine)
    use_queue(monkeypatch, "postgresql://nobody@127.0.0.1:1/none")
    given = [lab.submission(notification("S-1")), lab.submission(notification("S-2"))]
    for submission in given:
        (outcome,) = accept_many([submission], tasks.wake)
        assert isinstance(outcome, Accepted), "the client is answered as if nothing were wrong"
    assert caplog.text.count("The queue does not take wake-ups") == 1
    tasks.reap.run()
    assert len(server.wait_for(2)) == 2, "without any queue"
    queue.reset()
