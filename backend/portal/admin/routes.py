"""Every address of the administration, for platform administrators alone."""

from litestar import Router

from backend.portal import access, audit_log
from backend.portal.admin import groups, held, mail, organisations, providers, services, users

ROUTES = [
    Router(
        "/",
        route_handlers=[
            *services.ROUTES,
            *organisations.ROUTES,
            *users.ROUTES,
            *groups.ROUTES,
            *providers.ROUTES,
            *mail.ROUTES,
            *held.ROUTES,
            *audit_log.ADMIN_ROUTES,
        ],
        guards=[access.platform_administrators],
    )
]
