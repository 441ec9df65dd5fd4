"""Logos as they are uploaded: a PNG or a JPEG of a bounded size, since every mail carries it."""

import hashlib
import io

import msgspec
from PIL import Image

from backend.lib.problems import Problem

MAX_BYTES = 100 * 1024
MAX_WIDTH, MAX_HEIGHT = 1600, 800
_LEAST = 16
_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg"}
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg"}
# How large it is shown, in CSS pixels; one of twice that is sharp on every screen.
_SHOWN_WIDTH, _SHOWN_HEIGHT = 240, 64
_SVG_WITHIN = 1024


class Picture(msgspec.Struct, frozen=True):
    """A picture; ``width`` and ``height`` are its own, in pixels."""

    content: bytes
    type: str
    width: int
    height: int

    @property
    def digest(self) -> str:
        """Return what it is known by."""
        return hashlib.sha256(self.content).hexdigest()[:32]


def name(digest: str, media_type: str) -> str:
    """Return the name by which a mail shows the picture, as ``cid:NAME``."""
    return f"brand-{digest}.{_EXTENSIONS[media_type]}"


def shown(width: int, height: int) -> tuple[int, int]:
    """Return the size in which a logo is shown: never larger than it is, in the proportions that it has."""
    part = min(1.0, _SHOWN_WIDTH / width, _SHOWN_HEIGHT / height)
    return max(1, round(width * part)), max(1, round(height * part))


def read(content: bytes) -> Picture:
    """Look at an uploaded file without decoding its pixels.

    Raises:
        Problem: ``invalid_value`` with what is wrong and what to do.
    """
    if len(content) > MAX_BYTES:
        detail = f"The file has more than {MAX_BYTES // 1024} KiB, and every mail would carry it. Save it smaller."
        raise Problem("invalid_value", detail)
    if b"<svg" in content[:_SVG_WITHIN].lower():
        raise Problem("invalid_value", "Gmail and Outlook show no SVG. Export the logo as a PNG.")
    try:
        with Image.open(io.BytesIO(content), formats=tuple(_TYPES)) as opened:
            form, (width, height) = str(opened.format), opened.size
            opened.verify()
    except Image.DecompressionBombError:
        detail = f"The picture has far too many pixels; {MAX_WIDTH} × {MAX_HEIGHT} are the most. Scale it down."
        raise Problem("invalid_value", detail) from None
    except (OSError, SyntaxError, ValueError):
        detail = "This is no PNG or JPEG that can be read, and mail programs show few others. Export the logo as a PNG."
        raise Problem("invalid_value", detail) from None
    if width > MAX_WIDTH or height > MAX_HEIGHT:
        detail = f"The picture has {width} × {height} pixels; {MAX_WIDTH} × {MAX_HEIGHT} are the most. Scale it down."
        raise Problem("invalid_value", detail)
    if min(width, height) < _LEAST:
        detail = f"The picture has {width} × {height} pixels, too few to be seen: it needs {_LEAST} each way."
        raise Problem("invalid_value", detail)
    return Picture(content, _TYPES[form], width, height)
