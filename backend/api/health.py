"""Health: whether the process is up, and whether it can do its work."""

import asyncio
import logging
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


async def _ask(question: Callable[[], str]) -> str | None:
    """Ask in a thread and with little patience; None where no answer came in time."""
    # Probes that hang on a silent database have a few threads of their own and starve no request.
    with anyio.move_on_after(_PATIENCE_SECONDS):
        return await anyio.to_thread.run_sync(question, abandon_on_cancel=True, limiter=_probes(question.__name__))
    return None


@lru_cache(maxsize=2)
def _probes(_question: str) -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(4)


def _database() -> str:
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


def _queue() -> str:
    try:
        queue.try_to_write()
    except Exception as error:  # which opens the breaker, and that writes the log
        return _slower(outages.reason(error))
    return "ok"


def _slower(reason: str) -> str:
    since = queue.giving().since
    when = f" since {since:%Y-%m-%dT%H:%M:%SZ}" if since else ""
    return f"takes no wake-ups{when}, {reason}: messages leave some seconds later than they could"


ROUTES = [healthz, readyz]
