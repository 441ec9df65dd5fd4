"""Group work: what waits while one piece of work is done is done together in the next.

For speed alone: without it accepting takes three times as much of the processor on SQLite, and eight times as much on
PostgreSQL (``python -m tests.benchmarks.devices groups``).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class MicroBatcher(Generic[Item, Answer]):
    """Hands all waiting items to ``work`` at once, in one thread, and gives each caller its own answer.

    Nothing lingers to gather more: a lone item starts at once, and a crowd gathers by itself while the thread is
    busy. So one transaction serves as many requests as came while the last one was committed.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Answer]], *, name: str, limit: int = 256) -> None:
        self._work = work
        self._limit = limit
        self._waiting: deque[tuple[Sequence[Item], asyncio.Future[Sequence[Answer]]]] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._runner: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Answer:
        """Return the answer for ``item``; raise what ``work`` raised for its group."""
        (answer,) = await self.submit_all((item,))
        return answer

    async def submit_all(self, items: Sequence[Item]) -> Sequence[Answer]:
        """Return the answers for items that stay together; raise what ``work`` raised for their group."""
        future: asyncio.Future[Sequence[Answer]] = asyncio.get_running_loop().create_future()
        self._waiting.append((items, future))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            callers = self._next_group()
            group = [item for items, _ in callers for item in items]
            try:
                answers = iter(await loop.run_in_executor(self._thread, self._work, group))
                for items, future in callers:
                    own = list(islice(answers, len(items)))
                    if not future.done():
                        future.set_result(own)
            except Exception as error:
                _refuse([future for _, future in callers], error)

    def _next_group(self) -> list[tuple[Sequence[Item], "asyncio.Future[Sequence[Answer]]"]]:
        """Take those who wait, as many as the limit allows, and one at least."""
        callers: list[tuple[Sequence[Item], asyncio.Future[Sequence[Answer]]]] = []
        size = 0
        while self._waiting and (not callers or size + len(self._waiting[0][0]) <= self._limit):
            callers.append(self._waiting.popleft())
            size += len(callers[-1][0])
        return callers


def _refuse(futures: Sequence["asyncio.Future[Sequence[Answer]]"], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
