"""The web process: every door of the house on one Litestar application."""

from litestar import Litestar
from litestar.exceptions import HTTPException

from backend.api import errors
from backend.lib.problems import Problem


def create_app() -> Litestar:
    """Build the application from the present settings."""
    return Litestar(
        route_handlers=[],
        exception_handlers={
            Problem: errors.on_problem,
            HTTPException: errors.on_http_exception,
            Exception: errors.on_unexpected,
        },
        openapi_config=None,
        request_max_body_size=1024 * 1024,
    )
