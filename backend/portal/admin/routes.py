"""Every address of the administration, for platform administrators alone."""

from litestar import Router

from backend.portal import access
from backend.portal.admin import audit, branding, doctor, groups, held, mail, organisations, providers, services, users

ROUTES = [
    Router(
        "/",
        route_handlers=[
            *services.ROUTES,
            *organisations.ROUTES,
            *branding.ROUTES,
            *users.ROUTES,
            *groups.ROUTES,
            *providers.ROUTES,
            *mail.ROUTES,
            *doctor.ROUTES,
            *held.ROUTES,
            *audit.ROUTES,
        ],
        guards=[access.platform_administrators],
    )
]
