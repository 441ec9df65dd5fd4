"""Health: whether the process is up, and whether it can do its work."""

import logging
from collections.abc import Callable
from functools import lru_cache

import anyio
import anyio.to_thread
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec

from backend.db import migrate, session
from backend.db.migrate import Fit
from backend.lib import clock, queue
from backend.restored import report

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
    """Answer 200 if this release goes with the database and the queue answers, else 503 naming what is not."""
    found = {"database": await _ask(_database), "queue": await _ask(_queue)}
    ready = all(answer == "ok" for answer in found.values())
    body = {"status": "ready" if ready else "not ready", **found}
    if ready and (held := await _ask(_held)):
        body["restored"] = held
    return Response(body, status_code=200 if ready else 503, headers=_HEADERS)


async def _ask(question: Callable[[], str]) -> str:
    """Ask in a thread and with little patience; of a failure the kind is logged, for addresses hold passwords."""
    answer = "does not answer"
    # Probes that hang on a silent database have a few threads of their own and starve no request.
    with anyio.move_on_after(_PATIENCE_SECONDS):
        try:
            answer = await anyio.to_thread.run_sync(question, abandon_on_cancel=True, limiter=_probes())
        except Exception as error:
            logger.warning("Not ready: %s raised %s", question.__name__.strip("_"), type(error).__name__)
            answer = "unreachable"
    return answer


@lru_cache(maxsize=1)
def _probes() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(4)


def _database() -> str:
    standing = migrate.standing(session.current())
    if standing.usable:
        return "ok"
    if standing.fit is Fit.BEYOND:
        return f"too new: it is at {standing.present}, which this release, of {standing.head}, does not know"
    return (
        f"not migrated: it is at {standing.present or 'nothing'} and must be at {standing.head}; run `carillon migrate`"
    )


def _held() -> str:
    """Say that a restored database is held; empty where it is not. What is accepted goes out, so all is ready."""
    with session.current().look() as looking:
        since = report.since(looking)
    return "" if since is None else f"held since {clock.iso(since)}: what waited before is to be decided about"


def _queue() -> str:
    queue.huey().storage.enqueued_items(1)
    return "ok"


ROUTES = [healthz, readyz]
