"""Pages that are the same for everybody: each is written once, and kept as it is and compressed."""

import gzip
from typing import Any, cast

import msgspec
from litestar import Litestar, MediaType, Request, Response
from litestar.plugins.jinja import JinjaTemplateEngine

from backend.lib.http import TAKES_GZIP


class StillPage(msgspec.Struct, frozen=True):
    """A page as it is, and compressed; it holds no token, so that compressing it tells nothing."""

    plain: bytes
    compressed: bytes


def write(app: Litestar, template: str, **context: Any) -> StillPage:
    """Write a page from its template."""
    page = cast("JinjaTemplateEngine", app.template_engine).get_template(template).render(**context).encode()
    return StillPage(page, gzip.compress(page, mtime=0))


def answer(request: Request[Any, Any, Any], page: StillPage) -> Response[bytes]:
    """Answer with the page, compressed where the browser takes that."""
    headers = {"Vary": "Accept-Encoding"}
    if TAKES_GZIP.search(request.headers.get("accept-encoding", "")):
        return Response(page.compressed, media_type=MediaType.HTML, headers=headers | {"Content-Encoding": "gzip"})
    return Response(page.plain, media_type=MediaType.HTML, headers=headers)
