"""Tells of Jinja that begins in one element of MJML and ends in another, or decides how many columns there are."""

import re
from collections.abc import Iterator

from lxml import etree

from backend.rendering.jinja.masking import Hidden, Mask
from backend.rendering.mjml.writer.elements import BETWEEN
from backend.rendering.model import TemplateWarning

_WORD = re.compile(r"\{%[-+]?\s*(\w+)")
_OPENS = frozenset({"autoescape", "block", "call", "filter", "for", "if", "macro", "set", "with"})
_DIVIDES = frozenset({"elif", "else"})
_NOWHERE = frozenset({"mj-raw", BETWEEN})
_DECIDES = re.compile(r"\{%[-+]?\s*(?:if|for)\b")
_DETAIL = (
    "How many columns there are depends on the fields, but MJML shares the width out before these are known, as if "
    "each column came once: give the columns a width."
)


def crossing_blocks(root: etree._Element, mask: Mask) -> Iterator[TemplateWarning]:
    """Yield a warning, at its beginning, for each block whose parts do not stand in the same element."""
    opened: list[tuple[Hidden, str, etree._Element]] = []
    for token, holder in _statements(root, mask):
        found = _WORD.match(token.text)
        word = found[1] if found else ""
        if word in _OPENS and not (word == "set" and "=" in token.text):
            opened.append((token, word, holder))
        elif opened and (word in _DIVIDES or word == f"end{opened[-1][1]}"):
            first, _, beginning = opened[-1]
            if beginning is not holder:
                yield _told(first, beginning, token, holder)
            if word not in _DIVIDES:
                opened.pop()


def _statements(root: etree._Element, mask: Mask) -> Iterator[tuple[Hidden, etree._Element]]:
    """Yield the statements in the order they are written, each with the element that it stands in."""
    for element in root.iter("*"):
        holder = element.getparent() if element.tag in _NOWHERE else element
        if holder is None:
            continue
        for text in (*map(str, element.values()), element.text or ""):
            for _, hidden in mask.tokens(text) if mask.mark in text else ():
                if hidden.kind == "statement":
                    yield hidden, holder


def _told(first: Hidden, beginning: etree._Element, last: Hidden, end: etree._Element) -> TemplateWarning:
    opening, closing = (" ".join(token.text.split()) for token in (first, last))
    detail = (
        f"'{opening}' stands in <{beginning.tag}>, but '{closing}' on line {last.line} in {_named(end, beginning)}, so "
        "the tags between them come out without each other. Put both into the same element."
    )
    return TemplateWarning(first.line, "crossing_block", detail)


def _named(end: etree._Element, beginning: etree._Element) -> str:
    return f"another <{end.tag}>" if end.tag == beginning.tag else f"<{end.tag}>"


def uncertain_widths(element: etree._Element, mask: Mask) -> Iterator[TemplateWarning]:
    """Yield a warning for a section or group whose columns stand in loops or branches and have no width."""
    deciding = [
        mask[index]
        for raw in element.iterchildren("mj-raw", BETWEEN)
        for index in mask.indices(raw.text or "")
        if _DECIDES.match(mask[index].text)
    ]
    if deciding and any(column.get("width") is None for column in element.iterchildren("mj-column", "mj-group")):
        yield TemplateWarning(deciding[0].line, "uncertain_width", _DETAIL)
