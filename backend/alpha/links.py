"""The list of links at the root, by which the alpha's clients found their way."""

from typing import Any

from litestar import Request, Response, get
from litestar.response import Redirect

from backend.alpha import tokens
from backend.lib import settings

# Each name with its method and its path; 123 stands for any number.
_LINKS = {
    "user.fetch_user_by_id": ("GET", "/users/123"),
    "user.fetch_user_by_email": ("GET", "/users"),
    "user.authenticate": ("POST", "/users/auth"),
    "notification.create": ("POST", "/sms/notification"),
    "notification.create_email": ("POST", "/email/notification"),
    "notification.fetch": ("GET", "/notifications"),
    "notification.fetch_notifications_by_job": ("GET", "/job/123/notifications"),
    "organisation.fetch": ("GET", "/organisation/123"),
    "job.fetch": ("GET", "/job/123"),
    "job.fetch_jobs_by_service": ("GET", "/service/123/jobs"),
    "job.create": ("POST", "/job"),
    "service.fetch_service_by_user_id_and_service_id": ("GET", "/user/123/service/123"),
    "service.fetch_services_by_user": ("GET", "/user/123/services"),
    "service.create": ("POST", "/service"),
}
# The list is the same for every caller, and changes with a release alone.
_FOR_A_DAY = {"Vary": "Accept, Authorization", "Cache-Control": "private, max-age=86400"}


@get("/", guards=[tokens.client_or_browser], sync_to_thread=False)
def root(request: Request[Any, Any, Any]) -> Response[Any]:
    """Send a browser to the portal; tell a program where things are."""
    if tokens.is_browser(request):
        return Redirect("/portal", status_code=303, headers={"Vary": "Accept"})
    base = settings.current().base_url
    links = {name: {"url": base + path, "method": method} for name, (method, path) in _LINKS.items()}
    return Response({"links": links}, headers=_FOR_A_DAY)
