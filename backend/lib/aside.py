"""Work that an answer must not wait for, since the time would tell what it was about: done by a few threads, in order.

It is lost with its process, like any work that nobody was told of yet.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Any

logger = logging.getLogger(__name__)

_under_way: set[Future[None]] = set()


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="aside")


def run(work: Callable[..., None], *given: Any) -> None:
    """Do some work in a moment; what fails is logged."""
    future = _threads().submit(_done, work, *given)
    _under_way.add(future)
    future.add_done_callback(_under_way.discard)


def _done(work: Callable[..., None], *given: Any) -> None:
    try:
        work(*given)
    except Exception:
        logger.exception("%s failed", work.__qualname__.strip("_"))


def wait_until_done() -> None:
    """Wait until everything is done that was begun before."""
    wait(tuple(_under_way))
