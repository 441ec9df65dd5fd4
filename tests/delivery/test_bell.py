"""The thread that nudges for those who accept."""

import queue
import threading

import pytest

from backend.db.models.notifications import Priority
from backend.delivery import bell
from backend.delivery.bell import Bell

HIGH, NORMAL = Priority.HIGH.value, Priority.NORMAL.value
_SECONDS = 10


def test_what_is_rung_during_a_nudge_is_one_more_nudge() -> None:
    given: queue.Queue[set[int]] = queue.Queue()
    go_on = threading.Event()

    def nudge(priorities: set[int]) -> None:
        given.put(priorities)
        assert go_on.wait(_SECONDS)

    rung = Bell(nudge)
    rung.ring({NORMAL})
    assert given.get(timeout=_SECONDS) == {NORMAL}
    for priorities in ({NORMAL}, {NORMAL}, {HIGH}):
        rung.ring(priorities)
    go_on.set()
    assert given.get(timeout=_SECONDS) == {HIGH, NORMAL}
    rung.ring({NORMAL})
    assert given.get(timeout=_SECONDS) == {NORMAL}


def test_high_does_not_wait_for_the_rest_between_two_nudges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bell, "_REST_SECONDS", 3600)
    given: queue.Queue[set[int]] = queue.Queue()
    rung = Bell(given.put)
    rung.ring({NORMAL})
    assert given.get(timeout=_SECONDS) == {NORMAL}
    rung.ring({NORMAL})
    rung.ring({HIGH})
    found = given.get(timeout=_SECONDS)
    assert found == {HIGH, NORMAL}
