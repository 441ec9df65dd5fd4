"""The audit log of the whole installation."""

from typing import Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.response import Stream

from backend.accounts.sessions import Viewer
from backend.portal import audit_log, downloads
from backend.portal.admin.tabs import ADMIN, admin_page
from backend.portal.pages import Page
from backend.reports import exports

_ADMIN = f"{ADMIN}/audit"


@get("/admin/audit", sync_to_thread=True)
def of_all(request: Request[Any, Any, Any], viewer: NamedDependency[Viewer]) -> Page:
    """Show what was changed in the whole installation."""
    return admin_page("audit", viewer, "audit", base=_ADMIN, **audit_log.context_of(request, None))


def of_all_as_file(request: Request[Any, Any, Any]) -> Stream:
    """Give all entries of the filter."""
    return downloads.as_file(request, exports.audit_log(audit_log.wanted_by(request).filter(None)), "audit")


ROUTES = [of_all, *downloads.as_both("/admin/audit", of_all_as_file)]
