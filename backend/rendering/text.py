"""The text alternative of an HTML message."""

import re
from typing import cast

from inscriptis.css_profiles import STRICT_CSS_PROFILE  # type: ignore[import-untyped] # as above
from inscriptis.html_engine import Inscriptis  # type: ignore[import-untyped] # the package ships no types
from inscriptis.html_properties import Display  # type: ignore[import-untyped] # as above
from inscriptis.model.config import ParserConfig  # type: ignore[import-untyped] # as above
from inscriptis.model.html_element import HtmlElement  # type: ignore[import-untyped] # as above
from lxml import html as lxml_html

_INVISIBLE = re.compile("[\u00ad\u034f\u200b-\u200d\u2060\ufeff]+")
_ODD_SPACE = re.compile("[\u00a0\u2007\u202f]")
_BLANK_RUN = re.compile(r"\n{3,}")
_ADDRESS = re.compile(r"(?:https?|mailto|tel|ftp):\S+", re.IGNORECASE)
_PARTS = frozenset({"tbody", "thead", "tfoot", "tr", "td", "th"})
_CELLS = frozenset({"td", "th"})
_UNSEEN = frozenset({"head", "style", "script", "template", "title"})
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_CONFIG = ParserConfig(
    css={**STRICT_CSS_PROFILE, "section": HtmlElement(display=Display.block, margin_before=1, margin_after=1)}
)


def text_alternative(html: str) -> str:
    """Write an HTML message as text: links with their addresses, images by their alt text, tables as lines."""
    if not html.strip():
        return ""
    parser = lxml_html.HTMLParser(remove_comments=True, remove_pis=True)
    root = lxml_html.document_fromstring(html, parser=parser)
    body = root.find("body")
    body = root if body is None else body
    for element in list(body.iter("*")):
        _prepare(element)
    for element in body.findall(".//div"):
        if len(element) == 1 and element[0].tag == "div" and not (element.text or "").strip():
            cast("lxml_html.HtmlElement", element).drop_tag()
    return tidy(Inscriptis(body, _CONFIG).get_text())


def _prepare(element: lxml_html.HtmlElement) -> None:
    """Bring one element to a form whose text reads well."""
    tag = str(element.tag)
    if tag in _UNSEEN or _HIDDEN.search(element.get("style", "")):
        element.drop_tree()
        return
    element.attrib.pop("style", None)  # margins and white space are for the eye, not for the text
    if tag == "table" and element.get("role") in {"presentation", "none"}:
        _dissolve(element)
    elif tag == "a":
        _append(element, _address(element))
    elif tag == "img":
        _append(element, f" {element.get('alt', '')} ")
    elif tag == "hr" or (tag == "p" and not len(element) and not (element.text or "").strip()):
        element.tag = "div"


def _dissolve(table: lxml_html.HtmlElement) -> None:
    """Turn a table that only lays out into blocks, one for each cell; MJML centres those that are sections."""
    sectional = table.get("align") == "center"
    table.tag = "section" if sectional else "div"
    pending = list(table)
    while pending:
        element = pending.pop()
        if element.tag in _PARTS:
            pending.extend(element)
            if element.tag in _CELLS:
                element.tag = "div"
            else:
                element.drop_tag()  # every node costs time, and rows add nothing to their cells


def _append(element: lxml_html.HtmlElement, text: str) -> None:
    if text.strip():
        element.tail = text + (element.tail or "")


def _address(link: lxml_html.HtmlElement) -> str:
    address = link.get("href", "").strip()
    shown = " ".join(link.text_content().split())
    bare = re.sub(r"^(?:mailto|tel):", "", address)
    if not _ADDRESS.fullmatch(address) or shown in {address, bare}:
        return ""
    return f" ({bare})" if shown else bare


def tidy(text: str) -> str:
    """Remove what is only there for the eye: runs of spaces and blank lines, invisible characters."""
    lines = (line.rstrip() for line in _ODD_SPACE.sub(" ", _INVISIBLE.sub("", text)).splitlines())
    return _BLANK_RUN.sub("\n\n", "\n".join(lines)).strip("\n")
