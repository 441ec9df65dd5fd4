"""What MRML writes otherwise than the reference compiler: documents that hold any of it are not for MRML.

Each line was measured: every attribute alone and together with others, in thousands of documents of both compilers.
What is listed here differs for some reader, in a browser or in Outlook; ``e2e/test_mjml_writers.py`` compares what
is not.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from lxml import etree

from backend.rendering.mjml_attributes import ATTRIBUTES
from backend.rendering.mjml_widths import uneven

_COMPONENTS = {
    "mj-accordion": "has an older style sheet, and its parts take other fonts",
    "mj-carousel": "has another style sheet",
    "mj-group": "shares its width out otherwise, and passes over the padding of columns in Outlook",
    "mj-hero": "takes no padding off its height, and passes over inner padding, radius and fluid height",
    "mj-social": "writes icons without border and alt, and knows no icon-position",
}
_INNER_BORDERS = (
    *(f"inner-border{side}" for side in ("", "-bottom", "-left", "-right", "-top")),
    "inner-border-radius",
)
_ICON_PADDINGS = ("ico-padding-bottom", "ico-padding-left", "ico-padding-right", "ico-padding-top")
_WITHOUT = {
    "mjml": {"owa": "has no rules for the Outlook web app"},
    "mj-body": dict.fromkeys(("css-class", "id"), "stands on another element"),
    "mj-section": {"gutter": "is passed over"},
    "mj-wrapper": {"gap": "is passed over"},
    "mj-column": dict.fromkeys(_INNER_BORDERS, "takes nothing off the width inside, and separates no borders"),
    "mj-button": {"title": "is passed over"},
    "mj-image": {
        **dict.fromkeys(("border-bottom", "border-left", "border-right", "border-top"), "is passed over"),
        **dict.fromkeys(("sizes", "title"), "is passed over"),
    },
    "mj-navbar": dict.fromkeys(_ICON_PADDINGS, "comes before ico-padding, which undoes it"),
    "mj-table": dict.fromkeys(("border", "cellspacing", "role"), "comes out otherwise"),
}
# How a value has to be spelled for MRML to read it as the reference does: whole pixels, the width of a border first.
# Jinja is none of it, so what is worked out from a value that only the fields know is not for MRML either.
_LENGTH, _LENGTHS = re.compile(r"\d+px"), re.compile(r"\d+px(?: \d+px){0,3}")
_BORDER = r"\d+px [a-z]+ \S.*"
_SPELLED = {
    **dict.fromkeys(("inner-padding", "padding"), _LENGTHS),
    **dict.fromkeys(("padding-bottom", "padding-left", "padding-right", "padding-top"), _LENGTH),
    **dict.fromkeys(("border-bottom", "border-left", "border-right", "border-top"), re.compile(_BORDER)),
    "border": re.compile(rf"none|0|{_BORDER}"),
    "full-width": re.compile("full-width"),
    "width": re.compile(r"\d+(?:px|%)"),
}
_SPELLED_HERE = {
    ("mj-body", "width"): _LENGTH,
    ("mj-breakpoint", "width"): _LENGTH,
    ("mj-button", "background-color"): re.compile(r"(?!none$).+"),
    ("mj-image", "height"): re.compile(r"auto|\d+px"),
    ("mj-image", "width"): _LENGTH,
    ("mj-table", "width"): re.compile(r"auto|\d+%"),
}
# Elsewhere MRML stops at mj-raw, and so at Jinja that stands between components.
_HOLD_RAW = frozenset({"mj-body", "mj-column", "mj-head", "mj-section", "mj-wrapper"})


def difference(plain: etree._Element) -> str | None:
    """Say the first thing of a plain tree that MRML writes otherwise than the reference; None if there is none."""
    return next(_differences(plain), None)


def _differences(plain: etree._Element) -> Iterator[str]:
    if len(plain.findall("mj-body")) > 1 or len(plain.findall("mj-head")) > 1:
        yield "there is more than one head or body, of which the reference takes the first"
    for element in plain.iter("*"):
        tag = str(element.tag)
        if tag in _COMPONENTS:
            yield f"<{tag}> {_COMPONENTS[tag]}"
        if tag == "mj-raw" and (within := _parent(element)) not in _HOLD_RAW:
            yield f"mj-raw or Jinja stands in <{within}>"
        for name, value in [(str(name), str(value)) for name, value in element.attrib.items()]:
            if detail := _of_attribute(tag, name, value):
                yield f"{name} of <{tag}> {detail}"
        yield from _together(element)
    yield from _fonts(plain)
    yield from uneven(plain)


def _parent(element: etree._Element) -> str:
    parent = element.getparent()
    return "" if parent is None else str(parent.tag)


@lru_cache(maxsize=2048)
def _of_attribute(tag: str, name: str, value: str) -> str | None:
    if tag in _WITHOUT and name in _WITHOUT[tag]:
        return _WITHOUT[tag][name]
    if name == "css-class":
        return "has several names, of which MRML gives but the last its suffix" if " " in value else None
    if tag not in ATTRIBUTES or name not in ATTRIBUTES[tag]:
        return None
    if not value and name != "alt":
        return "is empty"
    pattern = _SPELLED_HERE.get((tag, name)) or _SPELLED.get(name)
    return None if pattern is None or pattern.fullmatch(value) else "is spelled otherwise than MRML reads it"


def _together(element: etree._Element) -> Iterator[str]:
    """Yield what differs only where two attributes meet."""
    if element.get("full-width") and element.get("border-radius"):
        yield f"border-radius of <{element.tag}> goes with full-width onto another element"
    borders = ("border", "border-left", "border-right")
    if element.tag == "mj-button" and "px" in element.get("width", "") and any(element.get(one) for one in borders):
        yield "borders are not taken off the width of <mj-button>"


def _fonts(plain: etree._Element) -> Iterator[str]:
    """Yield fonts whose name is written in capitals elsewhere; MRML finds them in one spelling alone."""
    for font in plain.iterfind("mj-head/mj-font"):
        name = font.get("name", "")
        families = [one.get("font-family", "") for one in plain.iterfind("mj-body//*[@font-family]")]
        if any(name not in family and name.lower() in family.lower() for family in families):
            yield f"the font {name} is spelled in two ways"
