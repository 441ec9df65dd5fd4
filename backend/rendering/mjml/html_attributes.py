"""``mj-html-attributes``: attributes for the elements of the HTML that a selector finds."""

import re

import msgspec
from css_inline import InlineError
from lxml import etree

from backend.rendering.faults import TemplateFault
from backend.rendering.html.inlining import found_by, tags_of, with_attribute
from backend.rendering.jinja.masking import Mask

_SELECTOR = re.compile(r"[^{}@<;]+")
_NAME = re.compile(r"[A-Za-z_:][\w:.-]*", re.ASCII)


class Setting(msgspec.Struct, frozen=True):
    """One attribute for all elements that the selector ``path`` finds.

    ``value`` is ready to stand between double quotes, with its Jinja tokens masked.
    """

    path: str
    name: str
    value: str


def taken(root: etree._Element, mask: Mask, line: int) -> list[Setting]:
    """Take every ``mj-html-attributes`` out of the head.

    ``line`` is said in the TemplateFault for a selector or a name that cannot be one.
    """
    settings: list[Setting] = []
    for holder in root.findall("mj-head/mj-html-attributes"):
        for selector in holder.iterfind("mj-selector"):
            path = (selector.get("path") or "").strip()
            if not _SELECTOR.fullmatch(path):
                raise TemplateFault("mj-selector needs a CSS selector as its path", line)
            for attribute in selector.iterfind("mj-html-attribute"):
                name = attribute.get("name") or ""
                if not _NAME.fullmatch(name):
                    raise TemplateFault("mj-html-attribute needs the name of an attribute", line)
                value = mask.unfold((attribute.text or "").strip())
                settings.append(Setting(path, name, value.replace('"', "&quot;")))
        parent = holder.getparent()
        if parent is not None:
            parent.remove(holder)
    return settings


def applied(html: str, settings: list[Setting]) -> str:
    """Write the attributes into the body of the HTML; later ones win. Raises TemplateFault for a wrong selector."""
    start = max(html.find("<body"), 0)
    for setting in settings:
        tags = tags_of(html)
        try:
            found = found_by(html, tags, setting.path)
        except InlineError:
            raise TemplateFault(f"'{setting.path}' is no CSS selector") from None
        pieces, position = [], 0
        for number in sorted(found):
            tag = tags[number]
            if tag.start() > start:
                changed = with_attribute(tag[3], setting.name, setting.value)
                pieces += [html[position : tag.start(3)], changed]
                position = tag.end(3)
        html = "".join((*pieces, html[position:]))
    return html
