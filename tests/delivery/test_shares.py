"""A channel that sends one at a time spreads over all its threads, and over the workers: with a real, slow provider."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select

from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.notifications import Delivery
from backend.delivery.providers import health, routes
from backend.delivery.sending.pools import ChannelPools
from backend.delivery.sending.send import CHUNK, Sender
from backend.delivery.sending.send_context import LONGEST_SECONDS, Speeds
from backend.intake.accept import accept_many
from backend.lib import settings
from tests.factories import Laboratory, laboratory, notification
from tests.storms.installation import wait_until
from tests.vendors.http_server import Reply
from tests.vendors.twilio import TwilioServer

# ``SHARES=160:0.3`` is the sample that once took 34.6 seconds.
COUNT, SECONDS = (float(part) for part in os.environ.get("SHARES", "80:0.1").split(":"))
THREADS = 8


class SlowTwilio(TwilioServer):
    """Takes its time for each message, and tells how many it had under way at once."""

    def __init__(self) -> None:
        super().__init__()
        self.most = self._now = 0
        self._counting = threading.Lock()

    def accept(self) -> Reply:
        with self._counting:
            self._now += 1
            self.most = max(self.most, self._now)
        self.http.over.wait(SECONDS)
        with self._counting:
            self._now -= 1
        return super().accept()


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch, any_database: Database) -> Iterator[SlowTwilio]:
    with SlowTwilio() as server:
        monkeypatch.setenv("CARILLON_SMS_PROVIDERS", server.address)
        settings.current.cache_clear()
        routes.routes.cache_clear()
        health.recent.clear()
        yield server
    routes.routes.cache_clear()


@pytest.fixture
def lab(any_database: Database, provider: SlowTwilio) -> Laboratory:
    made = laboratory(any_database)
    made.recipient("X_PHONE", ("SMS", "+447700900404"))
    given = [
        made.submission(
            notification(f"S-{number}", type="SMS", recipient=["X_PHONE"], subject=..., content_type="text")
        )
        for number in range(int(COUNT))
    ]
    accept_many(given, lambda _priorities: None)
    return made


def counts(lab: Laboratory) -> Counter[str]:
    with lab.database.read() as session:
        return Counter(dict(session.execute(select(Delivery.status, func.count()).group_by(Delivery.status)).all()))


def run(lab: Laboratory, workers: list[ChannelPools]) -> float:
    """Wake the workers together; return how long it took until all was sent."""
    for one in workers:
        one.wake([Channel.SMS], high_only=False)
    took = wait_until(lambda: counts(lab)["SENT"] == COUNT, 60, lambda: str(counts(lab)))
    for one in workers:
        one.stop(10)
    return took


def test_all_threads_send(lab: Laboratory, provider: SlowTwilio) -> None:
    took = run(lab, [ChannelPools(Sender("one"), THREADS)])
    least = COUNT * SECONDS / THREADS
    print(f"\n{COUNT:.0f} text messages at {SECONDS} s with {THREADS} threads: {took:.1f} s, {least:.1f} s at least")
    assert provider.most == THREADS
    assert took < least + LONGEST_SECONDS
    assert len(provider.taken) == COUNT


def test_workers_share(lab: Laboratory, provider: SlowTwilio) -> None:
    run(lab, [ChannelPools(Sender(name), THREADS // 2) for name in ("one", "two")])
    assert provider.most == THREADS, "each had as many under way as it may"
    assert len(provider.taken) == COUNT


def test_a_share_is_half_a_second_of_work() -> None:
    speeds = Speeds()
    assert speeds.share(Channel.SMS, 1, CHUNK) == 4, "nothing is known yet"
    speeds.note(Channel.SMS, 4, 0.6)
    assert speeds.share(Channel.SMS, 1, CHUNK) == 3
    speeds.note(Channel.SMS, 0, 5.0)
    assert speeds.share(Channel.SMS, 1, CHUNK) == 3
    speeds.note(Channel.SMS, 3, 0.003)
    assert speeds.share(Channel.SMS, 1, CHUNK) == CHUNK, "a fast provider gets as many as there are"
    speeds.note(Channel.EMAIL, 8, 60.0)
    assert speeds.share(Channel.EMAIL, 8, CHUNK) == 8, "as many as it has under way at once"


def test_what_takes_longer_than_it_did_goes_back(lab: Laboratory, provider: SlowTwilio) -> None:
    sender = Sender("one")
    began = time.monotonic()
    assert sender.send_from(Channel.SMS, limit=int(COUNT)) == COUNT
    assert time.monotonic() - began < LONGEST_SECONDS + 1
    assert counts(lab)["QUEUED"] + counts(lab)["SENT"] == COUNT
    assert counts(lab)["QUEUED"] > 0
