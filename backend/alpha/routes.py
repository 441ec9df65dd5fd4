"""Every address of the alpha's entry point."""

from litestar import Router
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from backend.alpha import faults, jobs, links, notifications, services, users
from backend.alpha.faults import AlphaFault
from backend.lib.problems import Problem

_ALPHA = Router(
    "/",
    route_handlers=[*notifications.ROUTES, *jobs.ROUTES, *services.ROUTES, *users.ROUTES, links.root],
    exception_handlers={
        AlphaFault: faults.on_fault,
        Problem: faults.on_problem,
        HTTPException: faults.on_http_exception,
        Exception: faults.on_unexpected,
    },
    response_headers={"Cache-Control": "no-cache, no-store"},
    include_in_schema=False,
)

ROUTES: list[ControllerRouterHandler] = [_ALPHA]
