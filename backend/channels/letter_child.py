"""The child process that lays letters out as PDF: the engine is quick, but a hostile page can keep it busy for ever.

The page follows DIN 5008, form B, which fits windowed envelopes DL and C5 (DIN 680): the address field of 85 x 45 mm is
20 mm from the left and 45 mm from the top of the first page, the text begins below it, at 98.5 mm.
"""

import io
import os
from base64 import b64encode
from typing import Any

import plutoprint

from backend.lib import child

_MEMORY = 2 * 1024 * 1024 * 1024
_MAX_PAGES = 100
_MAX_BYTES = 10 * 1024 * 1024
_A4 = (595.276, 841.89)  # points
_PIXELS = 1.5  # of a picture, for each of CSS, in which the engine draws
_POINT = 4 / 3  # in pixels of CSS
# The address zone is 27.3 mm high, for six lines; a seventh goes into the zone for remarks above it.
_LINE = 4.4
_ZONE_TOP, _ZONE_LINES = 62.7, 6
# What a template that says nothing about it looks like; its own rules come after these.
_DEFAULTS = """
html { font-family: sans-serif; font-size: 11pt; line-height: 1.4; }
body { margin: 0; }
img { max-width: 100%; }
"""
# What makes a letter of it, after the template's own rules. The engine gives every page the margins of the first, so
# the room for the address is taken from the text, and the address hangs out of the margin that it stands in.
_PAGE = """
@page {{
  size: A4; margin: 20mm 20mm 25mm 25mm;
  @bottom-right {{ content: counter(page) " of " counter(pages); font: 9pt sans-serif; }}
}}
html body::before {{ content: ""; display: block; height: 78.5mm; }}
@page :first {{
  @top-left {{
    content: "{address}"; white-space: pre-wrap; text-align: left; vertical-align: top;
    width: 80mm; padding-top: {top}mm; font: 10pt/{line}mm sans-serif;
  }}
  @top-center {{ content: none; }}
  @top-right {{ content: none; }}
}}
"""


class _NoResources(plutoprint.ResourceFetcher):
    """Fetches nothing: what a letter shows is in it, as data: URLs are, which never come here."""

    def fetch_url(self, url: str) -> plutoprint.ResourceData:  # noqa: ARG002 - whatever it is
        return plutoprint.ResourceData(b"", "text/plain", "utf-8")


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Lay out ``html`` for the address ``lines``; return ``pages`` and the ``pdf`` in base64, or the ``fault``.

    Who asks for a ``picture`` gets that of the first page instead, a ``png`` in base64.
    """
    book = plutoprint.Book(plutoprint.PAGE_SIZE_A4, plutoprint.PAGE_MARGINS_NONE)
    book.custom_resource_fetcher = _NoResources()
    try:
        book.load_html(f"{question['html']}<style>{_page(question['lines'])}</style>", user_style=_DEFAULTS)
        book.set_metadata(plutoprint.PDF_METADATA_TITLE, question["title"])
        book.set_metadata(plutoprint.PDF_METADATA_CREATOR, "Carillon")
        return _pictured(book) if question.get("picture") else _written(book)
    except (plutoprint.Error, ValueError, UnicodeError) as error:
        return {"fault": f"its HTML cannot be laid out ({error})"}


def _fault(book: plutoprint.Book) -> str | None:
    """Return what keeps the pages from being a letter's."""
    pages = book.get_page_count()
    if not 1 <= pages <= _MAX_PAGES:
        return f"it would have {pages} pages; a letter has 1 to {_MAX_PAGES}"
    for page in range(pages):
        size = book.get_page_size_at(page)
        if abs(size.width - _A4[0]) > 1 or abs(size.height - _A4[1]) > 1:
            return f"its page {page + 1} is not A4 upright; leave the page size to the letter"
    return None


def _pictured(book: plutoprint.Book) -> dict[str, Any]:
    """Draw the first page on white."""
    if fault := _fault(book):
        return {"fault": fault}
    canvas = plutoprint.ImageCanvas(round(_A4[0] * _POINT * _PIXELS), round(_A4[1] * _POINT * _PIXELS))
    canvas.clear_surface(1, 1, 1, 1)
    canvas.scale(_PIXELS, _PIXELS)
    book.render_page(canvas, 0)
    out = io.BytesIO()
    canvas.write_to_png_stream(out)
    return {"pages": book.get_page_count(), "png": b64encode(out.getvalue()).decode("ascii")}


def _written(book: plutoprint.Book) -> dict[str, Any]:
    if fault := _fault(book):
        return {"fault": fault}
    pages = book.get_page_count()
    out = io.BytesIO()
    book.write_to_pdf_stream(out)
    pdf = out.getvalue()
    if len(pdf) > _MAX_BYTES:
        return {"fault": f"its PDF would have {len(pdf)} bytes, more than {_MAX_BYTES}"}
    if b"/Font" not in pdf:
        return {"no_fonts": True}
    return {"pages": pages, "pdf": b64encode(pdf).decode("ascii")}


def _page(lines: list[str]) -> str:
    top = _ZONE_TOP - _LINE * max(len(lines) - _ZONE_LINES, 0)
    return _PAGE.format(address=_quoted("\n".join(lines)), top=round(top, 1), line=_LINE)


def _quoted(text: str) -> str:
    """Write text inside a CSS string: all but letters, digits and spaces as escapes.

    The space that ends an escape belongs to it (CSS Syntax 3, section 4.3.7).
    """
    return "".join(one if one.isalnum() or one == " " else f"\\{ord(one):x} " for one in text)


def main() -> None:
    """Answer questions until nobody asks any more."""
    os.chdir("/")
    child.serve(answer, memory=_MEMORY)
