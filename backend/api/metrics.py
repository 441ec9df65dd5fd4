"""The figures of the installation for Prometheus."""

import asyncio
import hmac
import ipaddress
from typing import Any

from litestar import Request, Response, get
from sqlalchemy.exc import SQLAlchemyError

from backend.lib import metrics, settings
from backend.lib.problems import Problem
from backend.reports.gauges import State

_MEDIA_TYPE = "text/plain; version=0.0.4"  # the framework adds the charset
# A request that came through a proxy on this machine is not one of this machine.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


@get("/metrics", include_in_schema=False)
async def show(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Write every figure in Prometheus's text format; without the database, what the processes count alone."""
    if not _may_see(request):
        detail = "Send CARILLON_METRICS_TOKEN as the bearer token, or ask from the machine itself."
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


def _may_see(request: Request[Any, Any, Any]) -> bool:
    configuration = settings.current()
    if configuration.env != "production":
        return True
    token = configuration.metrics_token
    given = request.headers.get("authorization", "")
    if token and hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return True
    return _is_local(request)


def _is_local(request: Request[Any, Any, Any]) -> bool:
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


ROUTES = [show]
