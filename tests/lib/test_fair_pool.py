"""Threads that are shared: nobody's work waits behind another's, however much of it there is."""

import threading
from collections import Counter
from concurrent.futures import Future

import pytest

from backend.lib.fair_pool import Busy, FairPool, Limits, Overspent, Share, Watch

WIDE = Limits(threads=4, waiting=1_000, capacity=10_000, patience=60.0)


class Desk:
    """Work that begins when its thread is free and ends when the test says so; ``begun`` tells whose, in order."""

    def __init__(self, limits: Limits = WIDE) -> None:
        self.threads = FairPool("test", limits)
        self.begun: list[Share] = []
        self.changed = threading.Condition()
        self.allowed: Counter[Share] = Counter()

    def ask(self, share: Share, seconds: float = 0.0) -> "Future[None]":
        def work(watch: Watch) -> None:
            with self.changed:
                self.begun.append(share)
                self.changed.notify_all()
                assert self.changed.wait_for(lambda: self.allowed[share] > 0, 30)
                self.allowed[share] -= 1
            watch._since -= seconds

        return self.threads.submit(share, work)

    def end(self, share: Share, count: int = 1) -> None:
        with self.changed:
            self.allowed[share] += count
            self.changed.notify_all()

    def wait(self, share: Share, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.begun.count(share) >= count, 30), self.begun


def learn(desk: Desk, share: Share, seconds: float) -> None:
    """Let it be known how long a share's work takes."""
    desk.end(share)
    desk.ask(share, seconds).result(30)
    desk.begun.clear()


def test_one_share_has_half_of_the_threads_and_another_begins_at_once() -> None:
    desk, many, one = Desk(), Share(1), Share(2)
    flood = [desk.ask(many) for _ in range(50)]
    desk.wait(many, 2)
    desk.ask(one)
    desk.wait(one, 1)
    assert desk.begun.count(many) == 2
    desk.end(one)
    desk.end(many, 50)
    for done in flood:
        done.result(30)


def test_one_thread_is_left_for_what_is_urgent() -> None:
    desk = Desk()
    calm = [Share(1), Share(2), Share(3)]
    asked = [desk.ask(share) for share in calm for _ in range(5)]
    urgent = Share(4, urgent=True)
    asked.append(desk.ask(urgent))
    desk.wait(urgent, 1)
    assert len(desk.begun) == 4
    for share in [*calm, urgent]:
        desk.end(share, 5)
    for done in asked:
        done.result(30)


def test_slow_work_of_all_together_has_half_of_the_threads_even_if_it_is_urgent() -> None:
    desk = Desk()
    slow = [Share(1, urgent=True), Share(2, urgent=True), Share(3)]
    for share in slow:
        learn(desk, share, 0.6)
    asked = [desk.ask(share) for share in slow for _ in range(3)]
    quick = [desk.ask(Share(4)), desk.ask(Share(5, urgent=True))]
    desk.wait(Share(4), 1)
    desk.wait(Share(5, urgent=True), 1)
    assert len(desk.begun) == 4
    assert desk.threads.affordable(slow[2], 200, 1.0) == 0
    for share in [*slow, Share(4), Share(5, urgent=True)]:
        desk.end(share, 3)
    for done in asked + quick:
        done.result(30)
    assert desk.threads.affordable(slow[2], 200, 1.0) >= 1


def test_nobody_waits_in_vain_behind_slow_work() -> None:
    desk = Desk()
    slow, urgent, quick = Share(1), Share(1, urgent=True), Share(2)
    for share, seconds in ((slow, 0.6), (urgent, 0.6), (quick, 0.01)):
        learn(desk, share, seconds)
    asked = [desk.ask(slow), desk.ask(urgent)]
    for share in (slow, urgent):
        with pytest.raises(Busy):
            desk.threads.run(share, lambda _watch: None, in_vain=False)
    assert desk.threads.run(quick, lambda _watch: 7, in_vain=False) == 7
    for share, done in zip((slow, urgent), asked, strict=True):
        desk.end(share)
        done.result(30)
    assert desk.threads.run(slow, lambda _watch: 8, in_vain=False) == 8


def test_what_waits_counts_as_slow_work_too() -> None:
    desk = Desk()
    slow, quick = Share(1), [Share(number) for number in (2, 3)]
    learn(desk, slow, 0.6)
    asked = [desk.ask(share) for share in quick for _ in range(2)]
    assert desk.threads.affordable(slow, 200, 1.0) == 1
    asked += [desk.ask(slow) for _ in range(2)]
    assert desk.threads.affordable(slow, 200, 1.0) == 0
    for share in (slow, *quick):
        desk.end(share, 2)
    for done in asked:
        done.result(30)


def test_one_piece_shows_whether_a_new_share_is_slow() -> None:
    desk, new = Desk(), Share(1)
    assert desk.threads.affordable(new, 200, 1.0) == 200
    first = desk.ask(new)
    assert desk.threads.affordable(new, 200, 1.0) == 0
    with pytest.raises(Busy):
        desk.threads.run(new, lambda _watch: None, in_vain=False)
    desk.end(new)
    first.result(30)
    assert desk.threads.run(new, lambda _watch: 7, in_vain=False) == 7


def test_turns_go_by_the_time_that_each_has_used() -> None:
    desk = Desk(Limits(threads=1, waiting=1_000, capacity=10_000, patience=1e9))
    slow, quick = Share(1), Share(2)
    first = desk.ask(Share(3))
    desk.wait(Share(3), 1)
    asked = [desk.ask(share, seconds) for _ in range(12) for share, seconds in ((slow, 3.0), (quick, 1.0))]
    desk.end(Share(3))
    desk.end(slow, 12)
    desk.end(quick, 12)
    for done in [first, *asked]:
        done.result(30)
    begun = Counter(desk.begun[1:13])
    assert begun[quick] in range(8, 11), begun
    assert desk.begun.count(slow) == 12


def test_who_asks_for_more_than_fits_is_refused_and_nobody_else_is() -> None:
    desk, many, other = Desk(Limits(threads=2, waiting=1_000, capacity=10_000, patience=3.5)), Share(1), Share(2)
    learn(desk, many, 1.0)
    for _ in range(4):
        desk.ask(many)
    with pytest.raises(Overspent) as caught:
        desk.ask(many)
    assert (caught.value.seconds, caught.value.each) == (pytest.approx(4.0, abs=0.1), pytest.approx(1.0, abs=0.05))
    desk.end(other)
    desk.end(many, 4)
    desk.ask(other).result(30)


def test_the_room_of_all_is_bounded() -> None:
    desk = Desk(Limits(threads=1, waiting=5, capacity=3, patience=60.0))
    asked = [desk.ask(Share(number)) for number in range(4)]
    with pytest.raises(Busy):
        desk.ask(Share(9))
    for number in range(4):
        desk.end(Share(number))
    for done in asked:
        done.result(30)


def test_who_waited_in_vain_is_told_whose_fault_it_was() -> None:
    desk = Desk(Limits(threads=1, waiting=5, capacity=5, patience=0.05))
    held = desk.ask(Share(1))
    desk.wait(Share(1), 1)
    with pytest.raises(Busy):
        desk.threads.run(Share(2), lambda _watch: None)
    with pytest.raises(Overspent):
        desk.threads.run(Share(1), lambda _watch: None)
    desk.end(Share(1))
    held.result(30)


def test_what_was_raised_comes_back_and_the_thread_goes_on() -> None:
    threads = FairPool("test", WIDE)

    def fail(_watch: Watch) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        threads.run(Share(1), fail)
    assert threads.run(Share(1), lambda _watch: 7) == 7


def test_a_thousand_shares_leave_little_behind() -> None:
    threads = FairPool("test", WIDE)
    for number in range(1_000):
        threads.run(Share(number), lambda _watch: None)
    assert len(threads._accounts) < 300


def test_the_start_of_a_process_is_not_counted() -> None:
    threads, share = FairPool("test", WIDE), Share(1)

    def work(watch: Watch) -> None:
        watch._since -= 0.3  # that long it took to start
        watch.restart()

    threads.run(share, work)
    assert not threads.is_slow(share)
