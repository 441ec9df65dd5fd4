"""Every address of the portal, with the guards that stand before all of them."""

from litestar import Router
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from backend.portal import (
    access,
    account,
    assets,
    audit_log,
    batches,
    callbacks,
    clients,
    guide,
    home,
    invitations,
    job_upload,
    jobs,
    message_settings,
    notification,
    notifications,
    oidc,
    outbox,
    passwords,
    recipient_form,
    recipients,
    recipients_csv,
    security,
    service_settings,
    sign_in,
    start,
    suppressions,
    team,
)
from backend.portal.admin import routes as admin
from backend.portal.templates_pages import routes as templates_pages

# Pages of one service: their handlers may ask for `place`, and take guards from `access`.
_OF_A_SERVICE = Router(
    "/services/{service_id:int}",
    route_handlers=[
        *home.ROUTES,
        *notifications.ROUTES,
        *notification.ROUTES,
        *batches.ROUTES,
        *outbox.ROUTES_OF_A_SERVICE,
        *jobs.ROUTES,
        *job_upload.ROUTES,
        *guide.ROUTES,
        *recipients.ROUTES,
        *recipients_csv.ROUTES,
        *recipient_form.ROUTES,
        *clients.ROUTES,
        *callbacks.ROUTES,
        *suppressions.ROUTES,
        *team.ROUTES,
        *service_settings.ROUTES,
        *message_settings.ROUTES,
        *audit_log.ROUTES,
        *templates_pages.ROUTES,
    ],
    dependencies={"place": Provide(access.place, sync_to_thread=True)},
)

_PAGES = Router(
    "/portal",
    route_handlers=[
        *start.ROUTES,
        *sign_in.ROUTES,
        *passwords.ROUTES,
        *invitations.ROUTES,
        *oidc.ROUTES,
        *account.ROUTES,
        *admin.ROUTES,
        *outbox.ROUTES,
        _OF_A_SERVICE,
    ],
    dependencies={
        "viewer": Provide(access.signed_in, sync_to_thread=True),
        "access": Provide(access.outbox, sync_to_thread=True),
    },
    middleware=[security.PortalCsrf],
    guards=[security.same_origin],
    before_request=security.check_form,
    after_request=security.harden,
    exception_handlers={access.SignInNeededError: access.on_sign_in_needed},
    include_in_schema=False,
)

ROUTES: list[ControllerRouterHandler] = [_PAGES, assets.static_file]
