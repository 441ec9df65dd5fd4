"""A nudge that the queue did not take is no loss: the worker's tick finds what is due."""

from collections.abc import Callable, Iterator

import pytest

from backend.db.session import Database
from backend.delivery import routes, tasks
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


def test_the_tick_finds_what_no_nudge_reached(
    any_engine: Database,
    server: SmtpServer,
    configure: Callable[..., settings.Settings],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    beside = settings.current().queue_url
    lab = laboratory(any_engine)
    use_queue(monkeypatch, "postgresql://nobody@127.0.0.1:1/none")
    (outcome,) = accept_many([lab.submission(notification())], tasks.nudge)
    assert isinstance(outcome, Accepted), "the client is answered as if nothing were wrong"
    assert "did not take a nudge" in caplog.text
    use_queue(monkeypatch, beside)
    engine = queue.bind()
    assert engine.pending_count() == 0
    tasks.mend.run()
    nudge = engine.dequeue()
    assert nudge is not None
    engine.execute(nudge)
    assert len(server.wait_for(1)) == 1
