"""The portal's first page."""

from litestar import get
from litestar.di import NamedDependency
from litestar.response import Template

from backend.accounts.sessions import Viewer
from backend.portal.pages import page


@get("/", sync_to_thread=False)
def show(viewer: NamedDependency[Viewer]) -> Template:
    """Say who is signed in and where things are."""
    return page("home/index.html", viewer, current="home")


ROUTES = [show]
