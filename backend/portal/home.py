"""A service's home page."""

from litestar import get
from litestar.di import NamedDependency

from backend.portal.access import Place
from backend.portal.pages import Page, page


@get("/", sync_to_thread=False)
def show(place: NamedDependency[Place]) -> Page:
    """Say who is signed in and where things are."""
    return page("home/index.html", place.viewer, current="home", place=place)


ROUTES = [show]
