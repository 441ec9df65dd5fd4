"""Health: whether the process is up, and whether it can do its work."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import anyio
import anyio.to_thread
import msgspec
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec

from backend.api import errors
from backend.db import database as db
from backend.db import migrate, probe
from backend.db.migrate import Fit
from backend.lib import clock, outages, queue
from backend.lib.release import VERSION
from backend.restored import report

logger = logging.getLogger(__name__)

# A database that does not answer within this is as good as none to whoever balances the load.
_PATIENCE_SECONDS = 3
# So long an answer is given again: anybody may ask, and as often as they like.
_FRESH_SECONDS = 0.5
# Whoever rolls a release out asks here which one answers, with HEAD too. No other answer says so: it would tell those
# who look for a release with a hole.
_HEADERS = {"Cache-Control": "no-store", "Carillon-Version": VERSION}


class Health(msgspec.Struct, frozen=True):
    """The process is up, and of this release."""

    status: Literal["ok"] = "ok"
    version: str = VERSION


class Readiness(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the process can do its work: ``ok`` of the database and the queue, or what is wrong with them.

    ``restored`` is there while a restored database is held.
    """

    status: Literal["ready", "degraded", "not ready"]
    database: str
    queue: str
    restored: str = ""


@get(
    "/healthz",
    operation_id="getHealth",
    tags=["Operations"],
    summary="Tell that the process is up",
    responses=errors.documented(400),
    sync_to_thread=False,
)
def healthz() -> Response[Health]:
    """Answer as long as the process runs; nothing else is looked at."""
    return Response(Health(), headers=_HEADERS)


@get(
    "/readyz",
    operation_id="getReadiness",
    tags=["Operations"],
    summary="Tell whether the database and the queue are ready",
    responses={503: ResponseSpec(Readiness, description="Not ready; the members say why", generate_examples=False)}
    | errors.documented(400),
)
async def readyz() -> Response[Readiness]:
    """Write to the database and to the queue, and tell what each made of it.

    Without its database a process can do nothing: 503, `not ready`. Without its queue it does all its work, only
    a little later: 200, `degraded`, with since when. Whoever takes such a process away makes an outage of a delay.
    """
    database, queue_too = await asyncio.gather(_ask(_database), _ask(_queue))
    if database != "ok":
        body = Readiness("not ready", database or "does not answer", queue_too or _slower("it does not answer"))
        return Response(body, status_code=503, headers=_HEADERS)
    body = Readiness(
        status="ready" if queue_too == "ok" else "degraded",
        database=database,
        queue=queue_too or _slower("it does not answer"),
        restored=await _ask(_held) or "",
    )
    return Response(body, headers=_HEADERS)


class _Probe:
    """Asks a question ``about`` something that costs a write; whoever asks again at once gets the same answer."""

    def __init__(self, question: Callable[[], str], about: Callable[[], object]) -> None:
        self._question, self._about = question, about
        self._lock = threading.Lock()
        self._asked: object = None
        self._answer, self._until = "", 0.0

    def __call__(self) -> str:
        with self._lock:
            asked = self._about()
            if asked is not self._asked or time.monotonic() >= self._until:
                self._answer, self._asked = self._question(), asked
                self._until = time.monotonic() + _FRESH_SECONDS
            return self._answer


async def _ask(look: _Probe) -> str | None:
    """Ask in a thread and with little patience; None where no answer came in time."""
    # Probes that hang on a silent database have a few threads of their own and starve no request.
    with anyio.move_on_after(_PATIENCE_SECONDS):
        return await anyio.to_thread.run_sync(look, abandon_on_cancel=True, limiter=_probes(look))
    return None


@lru_cache(maxsize=3)
def _probes(_look: _Probe) -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(4)


def _probe_database() -> str:
    """Say whether this release goes with the database, and it takes what is written; of a fault our words are said."""
    try:
        if fault := _standing():
            return fault
        probe.touch(db.current())
    except Exception as error:
        logger.warning("Not ready, for the database", exc_info=error)
        return f"cannot be written to: {outages.reason(error)}"
    return "ok"


def _standing() -> str:
    """Say why the database is not one for this release; empty if it is."""
    standing = migrate.standing(db.current())
    if standing.usable:
        return ""
    if standing.fit is Fit.BEYOND:
        return f"too new: it is at {standing.present}, which this release, of {standing.head}, does not know"
    return (
        f"not migrated: it is at {standing.present or 'nothing'} and must be at {standing.head}; run `carillon migrate`"
    )


def _probe_held() -> str:
    """Say that a restored database is held; empty where it is not. What is accepted goes out, so all is ready."""
    try:
        with db.current().autocommit() as looking:
            since = report.since(looking)
    except Exception as error:
        logger.warning("Whether the database is held cannot be asked", exc_info=error)
        return ""
    return "" if since is None else f"held since {clock.iso(since)}: what waited before is to be decided about"


def _probe_queue() -> str:
    try:
        queue.try_to_write()
    except Exception as error:  # which opens the breaker, and that writes the log
        return _slower(outages.reason(error))
    return "ok"


def _slower(reason: str) -> str:
    since = queue.giving().since
    when = f" since {since:%Y-%m-%dT%H:%M:%SZ}" if since else ""
    return f"takes no wake-ups{when}, {reason}: messages leave some seconds later than they could"


_database = _Probe(_probe_database, db.current)
_queue = _Probe(_probe_queue, queue.giving)
_held = _Probe(_probe_held, db.current)
ROUTES = [healthz, readyz]
