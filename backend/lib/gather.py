"""Group work: what waits while one piece of work is done is done together in the next."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Gatherer(Generic[Item, Answer]):
    """Hands all waiting items to ``work`` at once, in one thread, and gives each caller its own answer.

    Nothing lingers to gather more: a lone item starts at once, and a crowd gathers by itself while the thread is
    busy. So one transaction serves as many requests as came while the last one was committed.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Answer]], *, name: str, limit: int = 256) -> None:
        self._work = work
        self._limit = limit
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._runner: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Answer:
        """Return the answer for ``item``; raise what ``work`` raised for its group."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(self._limit, len(self._waiting)))]
            try:
                answers = await loop.run_in_executor(self._thread, self._work, [item for item, _ in group])
                for (_, future), answer in zip(group, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
            except Exception as error:
                _refuse(group, error)


def _refuse(group: list[tuple[Item, "asyncio.Future[Answer]"]], error: Exception) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(error)
