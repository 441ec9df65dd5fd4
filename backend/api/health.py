"""Health: whether the process is up, and whether it can do its work."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from functools import lru_cache

import anyio
import anyio.to_thread
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec

from backend.db import migrate, probe, session
from backend.lib import outages, queue

logger = logging.getLogger(__name__)

# A database that does not answer within this is as good as none to whoever balances the load.
_PATIENCE_SECONDS = 3
# So long an answer is given again: anybody may ask, and as often as they like.
_FRESH_SECONDS = 0.5
_HEADERS = {"Cache-Control": "no-store"}


@get("/healthz", tags=["Operations"], summary="Tell that the process is up", sync_to_thread=False)
def healthz() -> Response[dict[str, str]]:
    """Answer as long as the process runs; nothing else is looked at."""
    return Response({"status": "ok"}, headers=_HEADERS)


@get(
    "/readyz",
    tags=["Operations"],
    summary="Tell whether the database and the queue are ready",
    responses={
        503: ResponseSpec(dict[str, str], description="Not ready; the members say why", generate_examples=False)
    },
)
async def readyz() -> Response[dict[str, str]]:
    """Write to the database and to the queue, and tell what each made of it.

    Without its database a process can do nothing: 503, `not ready`. Without its queue it does all its work, only
    a little later: 200, `degraded`, with since when. Whoever takes such a process away makes an outage of a delay.
    """
    database, queue_too = await asyncio.gather(_ask(_database), _ask(_queue))
    body = {"database": database or "does not answer", "queue": queue_too or _slower("it does not answer")}
    ready = body["database"] == "ok"
    status = "not ready" if not ready else "ready" if body["queue"] == "ok" else "degraded"
    return Response({"status": status, **body}, status_code=200 if ready else 503, headers=_HEADERS)


class _Look:
    """Asks a question that costs a write; whoever asks again at once gets the same answer."""

    def __init__(self, question: Callable[[], str]) -> None:
        self._question = question
        self._lock = threading.Lock()
        self._answer, self._until = "", 0.0

    def __call__(self) -> str:
        with self._lock:
            if time.monotonic() >= self._until:
                self._answer = self._question()
                self._until = time.monotonic() + _FRESH_SECONDS
            return self._answer


async def _ask(look: _Look) -> str | None:
    """Ask in a thread and with little patience; None where no answer came in time."""
    # Probes that hang on a silent database have a few threads of their own and starve no request.
    with anyio.move_on_after(_PATIENCE_SECONDS):
        return await anyio.to_thread.run_sync(look, abandon_on_cancel=True, limiter=_probes(look))
    return None


@lru_cache(maxsize=2)
def _probes(_look: _Look) -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(4)


def _look_at_database() -> str:
    """Say whether the database is migrated and takes what is written; of a fault only words of ours are said."""
    try:
        present = migrate.present(session.current())
        if present != _head():
            return f"not migrated: it is at {present or 'nothing'} and must be at {_head()}; run `carillon migrate`"
        probe.touch(session.current())
    except Exception as error:
        logger.warning("Not ready, for the database", exc_info=error)
        return f"cannot be written to: {outages.reason(error)}"
    return "ok"


@lru_cache(maxsize=1)
def _head() -> str:
    return migrate.head()


def _look_at_queue() -> str:
    try:
        queue.try_to_write()
    except Exception as error:  # which opens the breaker, and that writes the log
        return _slower(outages.reason(error))
    return "ok"


def _slower(reason: str) -> str:
    since = queue.giving().since
    when = f" since {since:%Y-%m-%dT%H:%M:%SZ}" if since else ""
    return f"takes no wake-ups{when}, {reason}: messages leave some seconds later than they could"


_database, _queue = _Look(_look_at_database), _Look(_look_at_queue)
ROUTES = [healthz, readyz]
