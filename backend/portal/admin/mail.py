"""The records that make receivers trust the mail of each sender domain: what to publish, and what is there."""

from litestar import get
from litestar.di import NamedDependency

from backend.accounts.sessions import Viewer
from backend.monitoring import providers
from backend.portal.admin.tabs import admin_page
from backend.portal.pages import Page


@get("/admin/mail", sync_to_thread=True)
def index(viewer: NamedDependency[Viewer]) -> Page:
    """Show every sender domain with its records."""
    return admin_page("mail", viewer, "mail", domains=providers.report())


ROUTES = [index]
