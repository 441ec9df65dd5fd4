"""The web process: every entry point of the application on one Litestar application."""

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor

from litestar import Litestar
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp

from backend.alpha import faults as alpha_faults
from backend.alpha import routes as alpha
from backend.api import (
    aggregators,
    bulk,
    callbacks,
    changes,
    direct,
    docs,
    errors,
    guards,
    health,
    matters,
    message_settings,
    metrics,
    middleware,
    notifications,
    oauth,
    obligations,
    openapi,
    paths,
    policies,
    recipients,
    requests,
    senders,
    sending_rules,
    suppressions,
    templates,
)
from backend.api.bodies import MAX_BYTES
from backend.lib import logs, service_manager, settings, traces
from backend.lib import metrics as measures
from backend.lib.problems import Problem
from backend.portal import errors as portal_errors
from backend.portal import routes as portal
from backend.portal.templates import template_config
from backend.receipts import entry_point as receipts
from backend.receipts import slack as slack_presses
from backend.receipts import tickets

# For what reads, looks and previews: more than the previews of all services keep at a time, and fewer than there are
# connections to the database.
_THREADS = 16


async def _employ() -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "handlers"))


def serve_app() -> ASGIApp:
    """Build the application as the server runs it, behind proxies or not."""
    return middleware.SeenThroughProxies(create_app())


def create_app() -> Litestar:
    """Build the application from the present settings."""
    logs.configure(as_json=settings.current().env == "production")
    return direct.DirectLitestar(
        route_handlers=[
            *notifications.ROUTES,
            *bulk.ROUTES,
            *obligations.ROUTES,
            *aggregators.ROUTES,
            *matters.ROUTES,
            *recipients.ROUTES,
            *policies.ROUTES,
            *templates.ROUTES,
            *changes.ROUTES,
            *message_settings.ROUTES,
            *senders.ROUTES,
            *sending_rules.ROUTES,
            *callbacks.ROUTES,
            *suppressions.ROUTES,
            *oauth.ROUTES,
            *docs.ROUTES,
            *health.ROUTES,
            *metrics.ROUTES,
            *receipts.ROUTES,
            *tickets.ROUTES,
            *slack_presses.ROUTES,
            *alpha.ROUTES,
            *portal.ROUTES,
        ],
        exception_handlers=portal_errors.by_entry_point(
            {
                Problem: errors.on_problem,
                HTTPException: alpha_faults.by_entry_point(errors.on_http_exception),
                Exception: errors.on_unexpected,
            }
        ),
        template_config=template_config,
        guards=[middleware.check_address],
        middleware=[paths.only_whole],
        before_send=[guards.tell_rate_limit, middleware.secure],
        # What is there for good need not be looked through by the garbage collector again and again.
        on_startup=[measures.share, _employ, gc.freeze, gc.enable, service_manager.tell_ready],
        on_shutdown=[middleware.lines.write, traces.flush],
        openapi_config=openapi.config(),
        logging_config=None,
        request_class=requests.PartialRequest,
        request_max_body_size=MAX_BYTES,
    )
