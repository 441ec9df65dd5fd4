"""The handbook at ``/docs/guide``: for operators and for those who work on Carillon, read without a script."""

from functools import lru_cache
from typing import Any

from litestar import Litestar, Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from backend.api import handbook_pages, still_pages
from backend.api.still_pages import StillPage
from backend.lib import settings
from backend.lib.settings import Settings

# A picture brings its own colours, for light and dark.
_PICTURE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


@get("/guide", sync_to_thread=True)
def contents(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show the first page, which is the table of contents."""
    return still_pages.answer(request, _page(request.app, settings.current(), ""))


@get("/guide/{name:path}", sync_to_thread=True)
def show(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """Show a page, or a file of the handbook such as the rules for Prometheus.

    Raises:
        NotFoundException: there is none of this name.
    """
    name = name.removeprefix("/")
    if file := handbook_pages.files().get(name):
        headers = _PICTURE if file.suffix == ".svg" else {}
        return Response(file.read_bytes(), media_type=handbook_pages.FILES[file.suffix], headers=headers)
    if not name or name not in handbook_pages.names():
        raise NotFoundException
    return still_pages.answer(request, _page(request.app, settings.current(), name))


@lru_cache(maxsize=256)
def _page(app: Litestar, _configuration: Settings, name: str) -> StillPage:
    page, chapters = handbook_pages.read(name), handbook_pages.contents()
    return still_pages.write(app, "docs/guide.html", page=page, chapters=chapters)


HANDLERS = [contents, show]
