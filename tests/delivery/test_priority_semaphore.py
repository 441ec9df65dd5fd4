"""The semaphore between groups that are ready and the provider: who is let in, and when."""

import threading
from collections.abc import Callable

from backend.db.models.notifications import Priority
from backend.delivery.sending.send_context import PrioritySemaphore, Slot

_PATIENCE_SECONDS = 10
HIGH, NORMAL = Priority.HIGH.value, Priority.NORMAL.value


def begin(semaphore: PrioritySemaphore, priority: int, deed: Callable[[Slot], None]) -> threading.Thread:
    """Let another thread do something under the semaphore."""

    def run() -> None:
        with semaphore.acquired(priority) as slot:
            deed(slot)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_what_is_urgent_gets_in_between_and_what_is_not_waits_for_the_end() -> None:
    semaphore, order, hurried = PrioritySemaphore(1), list[str](), threading.Event()

    def hurry(_slot: Slot) -> None:
        order.append("high")
        hurried.set()

    with semaphore.acquired(NORMAL) as slot:
        before = slot.connections
        later = begin(semaphore, NORMAL, lambda _: order.append("later"))
        sooner = begin(semaphore, HIGH, hurry)
        while not hurried.wait(0.001):
            slot.yield_slot(NORMAL)
        sooner.join(_PATIENCE_SECONDS)
        order.append("first")
        assert slot.connections is before, "both use the same connections, one after the other"
    later.join(_PATIENCE_SECONDS)
    assert order == ["high", "first", "later"]


def test_what_is_urgent_makes_way_for_nobody() -> None:
    semaphore, order = PrioritySemaphore(1), list[str]()
    with semaphore.acquired(HIGH) as slot:
        other = begin(semaphore, HIGH, lambda _: order.append("other"))
        for _ in range(100):
            slot.yield_slot(HIGH)
        order.append("first")
    other.join(_PATIENCE_SECONDS)
    assert order == ["first", "other"]


def test_the_place_of_a_thread_that_hangs_goes_to_another_with_connections_of_its_own() -> None:
    semaphore, inside, freed = PrioritySemaphore(1), threading.Event(), threading.Event()
    seen: list[Slot] = []

    def hang(slot: Slot) -> None:
        seen.append(slot)
        inside.set()
        assert freed.wait(_PATIENCE_SECONDS)
        slot.yield_slot(NORMAL)  # it has no place to give

    hanging = begin(semaphore, NORMAL, hang)
    assert inside.wait(_PATIENCE_SECONDS)
    semaphore.reassign(hanging.ident or 0)
    with semaphore.acquired(NORMAL) as slot:
        assert slot.connections is not seen[0].connections
        freed.set()
        hanging.join(_PATIENCE_SECONDS)
    with semaphore.acquired(NORMAL) as again:
        assert again.connections is slot.connections, "those of the hanging thread are used no more"
