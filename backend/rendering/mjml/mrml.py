"""Compiles MJML by mjml-python, which is MRML, wherever that writes it as the reference compiler does.

For MRML each component says by itself what it is. What MRML writes otherwise was measured: every attribute alone and
together with others, in thousands of documents of both compilers. What is listed here differs for some reader, in a
browser or in Outlook; ``e2e/test_mjml_writers.py`` compares what is not.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import groupby

from lxml import etree
from mjml import mjml2html

from backend.rendering.jinja.masking import Mask
from backend.rendering.mjml.attributes import ATTRIBUTES
from backend.rendering.mjml.writer.defaults import DEFAULTS
from backend.rendering.mjml.writer.elements import Defaults, Element, spelled
from backend.rendering.mjml.writer.numbers import integer
from backend.rendering.model import LANGUAGE

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
_BORDERS = frozenset({"border", "border-left", "border-right"})
# Shares of a hundred that both compilers write with the same digits: halves, quarters, fifths, eighths, tenths.
_SHARES = frozenset({1, 2, 4, 5, 8, 10})
# Elsewhere MRML stops at mj-raw, and so at Jinja that stands between components.
_HOLD_RAW = frozenset({"mj-body", "mj-column", "mj-head", "mj-section", "mj-wrapper"})
# MRML writes no alt where the reference writes an empty one.
_ALWAYS = {("mj-image", "alt")}
# MRML passes over a nought without a unit, and over lengths with more than a space between them.
_UNEVEN = {"mj-column": "a column", "mj-divider": "a divider"}
_NOUGHT = re.compile(r"(?<![^ ])0(?![^ ])")


def _of_parts(root: etree._Element) -> Iterator[str]:
    """Yield a difference where a document has a part twice."""
    if len(root.findall("mj-body")) > 1 or len(root.findall("mj-head")) > 1:
        yield "there is more than one head or body, of which the reference takes the first"


def _of_element(tag: str, attributes: Mapping[str, str]) -> Iterator[str]:
    """Yield what differs of a component with these attributes."""
    if tag in _COMPONENTS:
        yield f"<{tag}> {_COMPONENTS[tag]}"
    for name, value in attributes.items():
        if detail := _of_attribute(tag, name, value):
            yield f"{name} of <{tag}> {detail}"
    # What differs only where two attributes meet.
    if "full-width" in attributes and "border-radius" in attributes:
        yield f"border-radius of <{tag}> goes with full-width onto another element"
    if tag == "mj-button" and "px" in attributes.get("width", "") and not _BORDERS.isdisjoint(attributes):
        yield "borders are not taken off the width of <mj-button>"


def _width_inside(element: Element, width: int) -> int:
    """Return how many of the pixels of an element are left to what stands inside."""
    return width if element.tag == "mj-body" else width - element.spaces("padding", "left", "right") - element.borders()


def _width_of(element: Element, inside: int) -> int | None:
    """Return the width of an element in a parent that leaves it so many pixels; None where the writers round it."""
    if element.tag == "mj-divider":
        return _part(inside - element.spaces("padding", "left", "right"), element.get("width", ""))
    if element.tag != "mj-column":
        return inside
    if given := element.get("width"):
        return _part(inside, given)
    return inside // element.columns if element.columns in _SHARES and inside % element.columns == 0 else None


def _part(of: int, given: str) -> int | None:
    if not given.endswith("%"):
        return integer(given)
    pixels, rest = divmod(of * integer(given), 100)
    return None if rest else pixels


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


class Plain:
    """MJML whose components say themselves all in which they differ from the defaults, as ``text``.

    What ``mj-attributes``, classes and parents say is resolved, and lengths are in one spelling. ``difference`` is the
    first thing of it that MRML writes otherwise than the reference compiler; None if there is none.
    """

    def __init__(self, root: etree._Element, mask: Mask) -> None:
        self._ends = mask.hide("<![endif]-->", 1, "content"), mask.hide("<!--[if mso | IE]>", 1, "content")
        self._differences = list(_of_parts(root))
        self._pieces: list[str] = []
        self._families: set[str] = set()
        own = spelled(root)
        self._open("mjml", own | {"lang": own.get("lang") or LANGUAGE, "dir": own.get("dir") or "auto"})
        defaults = Defaults(root)
        for part in root:
            if part.tag == "mj-body":
                body = Element(part, defaults)
                self._write(body, integer(body.get("width")))
            else:
                self._write_head(part)
        self._pieces.append("</mjml>")
        self._differences += self._of_fonts(root)
        self.text = "".join(self._pieces)

    @property
    def difference(self) -> str | None:
        """Say the first difference."""
        return next(iter(self._differences), None)

    def _open(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Begin an element, whose attributes are spelled as they may stand in XML."""
        written = "".join([f' {name}="{value}"' for name, value in attributes.items()])
        self._pieces.append(f"<{tag}{written}>")
        self._differences += _of_element(tag, attributes)

    def _write(self, element: Element, width: int) -> None:
        """Write an element that has so many pixels."""
        attributes = _attributes(element)
        self._open(element.tag, attributes)
        self._pieces.append(element.node.text or "")
        if "font-family" in attributes:
            self._families.add(attributes["font-family"])
        children = element.children()
        inside = _width_inside(element, width) if children else width
        if inside < 0:
            self._differences.append(f"<{element.tag}> has no width left")
        for is_raw, together in groupby(children, lambda child: child.is_raw):
            if is_raw:
                self._write_raw(element.tag, "".join(child.content for child in together))
                continue
            for child in together:
                own = _width_of(child, inside)
                if own is None:
                    self._differences.append(f"{_UNEVEN[child.tag]} of {inside}px is no whole number of pixels wide")
                self._write(child, own or 0)
        self._pieces.append(f"</{element.tag}>")

    def _write_raw(self, within: str, text: str) -> None:
        if not text:
            return
        if within == "mj-wrapper":  # MRML writes what stands between its sections into what only Outlook reads
            text = f"{self._ends[0]}{text}{self._ends[1]}"
        self._pieces.append(f"<mj-raw>{text}</mj-raw>")
        if within not in _HOLD_RAW:
            self._differences.append(f"mj-raw or Jinja stands in <{within}>")

    def _write_head(self, head: etree._Element) -> None:
        """Leave out what is empty, which MRML writes, and write style sheets as one; the last title counts."""
        self._open(str(head.tag), {})
        last = {one.tag: one for one in head}
        sheets = "\n".join(one.text or "" for one in head.iterchildren("mj-style") if (one.text or "").strip())
        for one in head:
            text = (sheets if one.tag == "mj-style" else one.text) or ""
            alone = one.tag in {"mj-title", "mj-preview", "mj-style"}
            if one.tag == "mj-attributes" or (alone and (one is not last[one.tag] or not text.strip())):
                continue
            self._open(str(one.tag), spelled(one))
            self._pieces.append(f"{text}</{one.tag}>")
        self._pieces.append(f"</{head.tag}>")

    def _of_fonts(self, root: etree._Element) -> Iterator[str]:
        """Yield fonts that are spelled in two ways; MRML finds them in one alone."""
        for font in root.iterfind("mj-head/mj-font"):
            name = font.get("name", "")
            if any(name not in family and name.lower() in family.lower() for family in self._families):
                yield f"the font {name} is spelled in two ways"


def _attributes(element: Element) -> dict[str, str]:
    defaults, found = DEFAULTS.get(element.tag, {}), {}
    for name, value in element.attributes.items():
        if name != "mj-class" and (value != defaults.get(name) or (element.tag, name) in _ALWAYS):
            found[name] = _NOUGHT.sub("0px", " ".join(value.split())) if "padding" in name else value
    return found


def by_mrml(plain: Plain) -> str | None:
    """Compile plain MJML; None where MRML refuses it or panics."""
    try:
        # A comment could otherwise land inside a conditional comment, which breaks Outlook and browsers. Of fonts only
        # those count that mj-font declares: asking Google for its Ubuntu would tell it who reads the message.
        return str(mjml2html(plain.text, disable_comments=True, fonts={}))
    except BaseException as error:  # a panic of Rust is no Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return None
