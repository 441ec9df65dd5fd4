"""Work that comes while a group is at work is done together in the next group."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from backend.lib.micro_batcher import MicroBatcher


class Desk:
    """Work that a test can hold: each group waits at the barrier and is written down."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.barrier = threading.Event()

    def work(self, group: Sequence[int]) -> list[int]:
        self.groups.append(list(group))
        self.begun.release()
        assert self.barrier.wait(10)
        if any(item < 0 for item in group):
            raise ValueError("a negative item")
        return [item * 10 for item in group]


async def crowd(desk: Desk, batcher: MicroBatcher[int, int], items: Sequence[int]) -> list[int | BaseException]:
    """Submit one item, and while it is at work all the others."""
    first = asyncio.create_task(batcher.submit(items[0]))
    await asyncio.to_thread(desk.begun.acquire, timeout=10)
    others = [asyncio.create_task(batcher.submit(item)) for item in items[1:]]
    await asyncio.to_thread(bool)  # gives the others their turn to submit
    desk.barrier.set()
    return await asyncio.gather(first, *others, return_exceptions=True)


def test_a_lone_item_starts_at_once_and_a_crowd_makes_one_group() -> None:
    desk = Desk()
    answers = asyncio.run(crowd(desk, MicroBatcher(desk.work, name="test"), range(20)))
    assert desk.groups == [[0], list(range(1, 20))]
    assert answers == [item * 10 for item in range(20)]


def test_no_group_is_larger_than_the_limit() -> None:
    desk = Desk()
    answers = asyncio.run(crowd(desk, MicroBatcher(desk.work, name="test", limit=4), range(10)))
    assert desk.groups == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9]]
    assert answers == [item * 10 for item in range(10)]


def test_an_exception_reaches_every_caller_of_its_group_and_no_other() -> None:
    desk = Desk()
    answers = asyncio.run(crowd(desk, MicroBatcher(desk.work, name="test", limit=3), [0, 1, -2, 3, 4, 5]))
    assert [answer if isinstance(answer, int) else str(answer) for answer in answers] == [
        0,
        *["a negative item"] * 3,
        40,
        50,
    ]


def test_too_few_answers_are_an_error_for_those_without_one() -> None:
    async def ask() -> list[int | BaseException]:
        batcher: MicroBatcher[int, int] = MicroBatcher(lambda group: list(group)[:-1], name="test")
        return await asyncio.gather(*(batcher.submit(item) for item in (1, 2)), return_exceptions=True)

    first, second = asyncio.run(asyncio.wait_for(ask(), 10))
    assert first == 1
    assert isinstance(second, ValueError)


def test_a_caller_that_leaves_takes_nobody_with_it() -> None:
    async def ask() -> tuple[int, list[list[int]]]:
        desk = Desk()
        batcher: MicroBatcher[int, int] = MicroBatcher(desk.work, name="test")
        tasks = [asyncio.create_task(batcher.submit(item)) for item in (1, 2, 3)]
        await asyncio.to_thread(desk.begun.acquire, timeout=10)
        tasks[0].cancel()
        desk.barrier.set()
        return await tasks[2], desk.groups

    answer, groups = asyncio.run(ask())
    assert answer == 30
    assert [item for group in groups for item in group] == [1, 2, 3]


def test_the_next_item_after_an_exception_is_worked_on() -> None:
    async def ask() -> int:
        desk = Desk()
        desk.barrier.set()
        batcher: MicroBatcher[int, int] = MicroBatcher(desk.work, name="test")
        with pytest.raises(ValueError, match="negative"):
            await batcher.submit(-1)
        return await batcher.submit(2)

    assert asyncio.run(ask()) == 20


def test_items_of_one_caller_stay_together_and_keep_their_order() -> None:
    desk = Desk()
    batcher = MicroBatcher(desk.work, name="test", limit=5)

    async def story() -> list[Sequence[int]]:
        first = asyncio.create_task(batcher.submit(0))
        await asyncio.to_thread(desk.begun.acquire, timeout=10)
        others = [
            asyncio.create_task(batcher.submit_all(items)) for items in ([1, 2, 3], [4, 5, 6], list(range(7, 15)))
        ]
        await asyncio.to_thread(bool)
        desk.barrier.set()
        await first
        return await asyncio.gather(*others)

    assert asyncio.run(story()) == [[10, 20, 30], [40, 50, 60], [item * 10 for item in range(7, 15)]]
    assert desk.groups == [[0], [1, 2, 3], [4, 5, 6], list(range(7, 15))]
