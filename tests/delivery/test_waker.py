"""The thread that wakes workers for those who accept."""

import queue
import threading

import pytest

from backend.db.models.notifications import Priority
from backend.delivery import tasks
from backend.delivery.tasks import New, Waker

HIGH, NORMAL = Priority.HIGH.value, Priority.NORMAL.value
_SECONDS = 10


def test_what_is_rung_during_a_wake_up_is_one_more_wake_up() -> None:
    given: queue.Queue[New] = queue.Queue()
    go_on = threading.Event()

    def wake(new: New) -> None:
        given.put(new)
        assert go_on.wait(_SECONDS)

    rung = Waker(wake)
    rung.ring({NORMAL: {"EMAIL"}})
    assert given.get(timeout=_SECONDS) == {NORMAL: {"EMAIL"}}
    rung.ring({NORMAL: {"EMAIL"}})
    rung.ring({NORMAL: {"SMS"}})
    rung.ring({HIGH: {"SMS"}})
    go_on.set()
    assert given.get(timeout=_SECONDS) == {HIGH: {"SMS"}, NORMAL: {"EMAIL", "SMS"}}
    rung.ring({NORMAL: {"EMAIL"}})
    assert given.get(timeout=_SECONDS) == {NORMAL: {"EMAIL"}}


def test_high_does_not_wait_for_the_rest_between_two_wake_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_REST_SECONDS", 3600)
    given: queue.Queue[New] = queue.Queue()
    rung = Waker(given.put)
    rung.ring({NORMAL: {"EMAIL"}})
    assert given.get(timeout=_SECONDS) == {NORMAL: {"EMAIL"}}
    rung.ring({NORMAL: {"EMAIL"}})
    rung.ring({HIGH: {"EMAIL"}})
    assert given.get(timeout=_SECONDS) == {HIGH: {"EMAIL"}, NORMAL: {"EMAIL"}}
