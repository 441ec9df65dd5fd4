"""The gate between groups that are ready and the provider: who is let in, and when."""

import threading
from collections.abc import Callable

from backend.db.models.notifications import Priority
from backend.delivery.gate import Gate, Place

_PATIENCE_SECONDS = 10
HIGH, NORMAL = Priority.HIGH.value, Priority.NORMAL.value


def begin(gate: Gate, priority: int, deed: Callable[[Place], None]) -> threading.Thread:
    """Let another thread do something behind the gate."""

    def run() -> None:
        with gate.passed(priority) as place:
            deed(place)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_what_is_urgent_gets_in_between_and_what_is_not_waits_for_the_end() -> None:
    gate, order, hurried = Gate(1), list[str](), threading.Event()

    def hurry(_place: Place) -> None:
        order.append("high")
        hurried.set()

    with gate.passed(NORMAL) as place:
        before = place.connections
        later = begin(gate, NORMAL, lambda _: order.append("later"))
        sooner = begin(gate, HIGH, hurry)
        while not hurried.wait(0.001):
            place.make_way(NORMAL)
        sooner.join(_PATIENCE_SECONDS)
        order.append("first")
        assert place.connections is before, "both use the same connections, one after the other"
    later.join(_PATIENCE_SECONDS)
    assert order == ["high", "first", "later"]


def test_what_is_urgent_makes_way_for_nobody() -> None:
    gate, order = Gate(1), list[str]()
    with gate.passed(HIGH) as place:
        other = begin(gate, HIGH, lambda _: order.append("other"))
        for _ in range(100):
            place.make_way(HIGH)
        order.append("first")
    other.join(_PATIENCE_SECONDS)
    assert order == ["first", "other"]


def test_the_place_of_a_thread_that_hangs_goes_to_another_with_connections_of_its_own() -> None:
    gate, inside, freed = Gate(1), threading.Event(), threading.Event()
    seen: list[Place] = []

    def hang(place: Place) -> None:
        seen.append(place)
        inside.set()
        assert freed.wait(_PATIENCE_SECONDS)
        place.make_way(NORMAL)  # it has no place to give

    hanging = begin(gate, NORMAL, hang)
    assert inside.wait(_PATIENCE_SECONDS)
    gate.give_away(hanging.ident or 0)
    with gate.passed(NORMAL) as place:
        assert place.connections is not seen[0].connections
        freed.set()
        hanging.join(_PATIENCE_SECONDS)
    with gate.passed(NORMAL) as again:
        assert again.connections is place.connections, "those of the hanging thread are used no more"
