"""Style sheets, scripts and images: our own, and the named files of front-end packages, all from our own host.

They are sent compressed. The pages are not: beside what a visitor wrote, a compressed page would give its CSRF token
away by its length (the BREACH attack).
"""

import gzip
import hashlib
import re
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import File

from backend.lib import resources
from backend.lib.http import TAKES_GZIP

_FOLDER = resources.folder("static")
_OWN = re.compile(r"(styles|scripts|images)/[a-z0-9-]+\.(css|js|svg|png)")
# Of a package only what pages load: its folder also holds pages that talk to other hosts.
_PACKAGES = {
    "vendor/htmx/htmx.min.js": "node_modules/htmx.org/dist/htmx.min.js",
    "vendor/ace/ace.css": "node_modules/ace-builds/css/ace.css",
    "vendor/ace/ace.js": "node_modules/ace-builds/src-min-noconflict/ace.js",
    "vendor/ace/mode-nunjucks.js": "node_modules/ace-builds/src-min-noconflict/mode-nunjucks.js",
    "vendor/ace/mode-markdown.js": "node_modules/ace-builds/src-min-noconflict/mode-markdown.js",
    "vendor/ace/ext-language_tools.js": "node_modules/ace-builds/src-min-noconflict/ext-language_tools.js",
    "vendor/ace/ext-searchbox.js": "node_modules/ace-builds/src-min-noconflict/ext-searchbox.js",
}
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}


def _find(name: str) -> Path | None:
    inside = name if _OWN.fullmatch(name) else _PACKAGES.get(name)
    path = _FOLDER / inside if inside else None
    return path if path and path.is_file() else None


def asset(name: str) -> str:
    """Return the address of a static file, which changes with its content, so that browsers may keep it for good."""
    path = _find(name)
    if path is None:
        raise LookupError(f"There is no static file {name!r}; `make setup` installs those of the front-end packages.")
    return f"/static/{name}?v={_version(path, path.stat().st_mtime_ns)}"


@lru_cache(maxsize=256)
def _version(path: Path, _changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@lru_cache(maxsize=256)
def _compressed(path: Path, _changed: int) -> bytes:
    return gzip.compress(path.read_bytes(), mtime=0)


@get("/static/{file_path:path}", include_in_schema=False, sync_to_thread=True)
def static_file(request: Request[Any, Any, Any], file_path: FromPath[PurePath]) -> Response[bytes] | File:
    """Serve one static file, compressed for those who take it so."""
    path = _find(file_path.as_posix().lstrip("/"))
    if path is None:
        raise NotFoundException
    media_type = _MEDIA_TYPES[path.suffix]
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Vary": "Accept-Encoding",
    }
    if TAKES_GZIP.search(request.headers.get("accept-encoding", "")):
        content = _compressed(path, path.stat().st_mtime_ns)
        return Response(content, media_type=media_type, headers=headers | {"Content-Encoding": "gzip"})
    return File(path, filename=path.name, media_type=media_type, content_disposition_type="inline", headers=headers)
