"""The figures of the installation for Prometheus."""

import asyncio
from typing import Any

from litestar import Request, Response, get
from sqlalchemy.exc import SQLAlchemyError

from backend.lib import metrics, metrics_access, settings
from backend.lib.problems import Problem
from backend.monitoring.gauges import State

_MEDIA_TYPE = "text/plain; version=0.0.4"  # the framework adds the charset


@get("/metrics", include_in_schema=False)
async def show(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Write every figure in Prometheus's text format; without the database, what the processes count alone."""
    peer = request.client.host if request.client else None
    if not metrics_access.may_read(settings.current(), peer, request.headers):
        detail = (
            "Send CARILLON_METRICS_TOKEN as the bearer token, ask from an address that CARILLON_METRICS_ALLOW names, "
            "or from the machine itself where the server listens there alone."
        )
        raise Problem("unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="Carillon metrics"'})
    body = await asyncio.to_thread(_write)
    return Response(body, media_type=_MEDIA_TYPE, headers={"Cache-Control": "no-store"})


def _write() -> bytes:
    try:
        return metrics.exposition(State()) + _up(1)
    except SQLAlchemyError:
        return metrics.exposition() + _up(0)


def _up(state: int) -> bytes:
    told = "# HELP carillon_database_up Whether the state could be read\n# TYPE carillon_database_up gauge\n"
    return f"{told}carillon_database_up {state}\n".encode()


ROUTES = [show]
