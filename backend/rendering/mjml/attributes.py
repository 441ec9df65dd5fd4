"""The attributes that each component of MJML knows; the reference compiler ignores all others."""

import re
from difflib import get_close_matches
from functools import lru_cache

from backend.rendering.mjml.colours import NAMES
from backend.rendering.mjml.writer.defaults import COLOURS

_COLOUR = re.compile(
    r"rgba\(\d{1,3},\s?\d{1,3},\s?\d{1,3},\s?\d(?:\.\d{1,3})?\)|"
    r"rgb\(\d{1,3},\s?\d{1,3},\s?\d{1,3}\)|^#(?:[0-9a-f]{3}){1,2}$",
    re.IGNORECASE,
)
_PADDING = "padding padding-bottom padding-left padding-right padding-top"
_BORDERS = "border border-bottom border-left border-right border-top"
_FONT = "color font-family font-size font-weight line-height"
_WRITING = f"{_FONT} font-style letter-spacing text-decoration text-transform"
_BOX = f"container-background-color {_PADDING}"
_GROUND = (
    "background-color background-url background-repeat background-size background-position background-position-x "
    f"background-position-y {_BORDERS} border-radius direction full-width {_PADDING} text-align text-padding"
)
_ICONS = (
    "border font-family icon-align icon-width icon-height icon-wrapped-url icon-wrapped-alt icon-unwrapped-url "
    "icon-unwrapped-alt icon-position"
)
_NAVBAR = (
    "align base-url hamburger ico-align ico-open ico-close ico-color ico-font-size ico-font-family "
    "ico-text-transform ico-padding ico-padding-left ico-padding-top ico-padding-right ico-padding-bottom "
    f"ico-text-decoration ico-line-height {_PADDING}"
)
_SOCIAL = f"align border border-radius {_FONT} font-style icon-size icon-height icon-padding text-padding {_PADDING}"
_LINK = "href name rel target title"

_KNOWN: dict[str, str] = {
    "mj-accordion": f"{_ICONS} {_BOX}",
    "mj-accordion-element": f"background-color {_ICONS}",
    "mj-accordion-text": f"background-color letter-spacing {_FONT} {_PADDING}",
    "mj-accordion-title": f"background-color color font-size font-family font-weight {_PADDING}",
    "mj-body": "width background-color id",
    "mj-breakpoint": "width",
    "mj-button": (
        f"align background-color border-radius height inner-padding text-align vertical-align width "
        f"{_BORDERS} {_BOX} {_LINK} {_WRITING}"
    ),
    "mj-carousel": (
        "align border-radius icon-width left-icon right-icon thumbnails tb-border tb-border-radius "
        f"tb-hover-border-color tb-selected-border-color tb-width {_BOX}"
    ),
    "mj-carousel-image": "alt href rel target title src thumbnails-src border-radius tb-border tb-border-radius",
    "mj-column": (
        "background-color border-radius direction inner-background-color inner-border inner-border-bottom "
        "inner-border-left inner-border-radius inner-border-right inner-border-top vertical-align width "
        f"{_BORDERS} {_PADDING}"
    ),
    "mj-divider": f"border-color border-style border-width width align {_BOX}",
    "mj-font": "name href",
    "mj-group": "background-color direction vertical-align width",
    "mj-hero": (
        "mode height background-url background-width background-height background-position background-color "
        "border-radius inner-background-color inner-padding inner-padding-top inner-padding-left "
        "inner-padding-right inner-padding-bottom vertical-align "
        f"{_PADDING}"
    ),
    "mj-html-attribute": "name",
    "mj-image": (
        "alt src srcset sizes align border-radius fluid-on-mobile width height max-height font-size usemap "
        f"{_LINK} {_BORDERS} {_BOX}"
    ),
    "mj-navbar": _NAVBAR,
    "mj-navbar-link": f"{_WRITING} {_PADDING} href name target rel",
    "mj-raw": "position",
    "mj-section": f"{_GROUND} gutter",
    "mj-selector": "path",
    "mj-social": f"{_SOCIAL} container-background-color inner-padding mode table-layout text-decoration vertical-align",
    "mj-social-element": (
        f"{_SOCIAL} icon-position background-color src srcset sizes alt text-decoration vertical-align {_LINK}"
    ),
    "mj-spacer": f"{_BORDERS} {_BOX} height",
    "mj-style": "inline",
    "mj-table": f"align border cellpadding cellspacing role table-layout vertical-align width {_FONT} {_BOX}",
    "mj-text": f"align background-color height vertical-align {_WRITING} {_BOX}",
    "mj-wrapper": f"{_GROUND} gap",
    "mjml": "lang dir owa",
}
_SIDES = "left,center,right"
_MIDDLE = "top,middle,bottom"
_LENGTH, _LENGTHS, _PIXELS, _HEIGHT = "px,%", "px,%{1,4}", "px", "px,%,"
_EDGES = ("top", "right", "bottom", "left")
# What each attribute takes: units of a length, and how many; "colour", "number"; else the words that it may be.
_TAKES = {
    **dict.fromkeys(("icon-padding", "ico-padding", "inner-padding", "padding", "text-padding"), _LENGTHS),
    **{f"{kind}padding-{edge}": _LENGTH for kind in ("", "inner-", "ico-") for edge in _EDGES},
    **dict.fromkeys(("background-height", "background-width", "gutter", "height", "max-height", "width"), _LENGTH),
    **dict.fromkeys(("ico-font-size", "icon-height", "icon-size", "icon-width", "tb-width"), _LENGTH),
    **dict.fromkeys(("border-width", "font-size", "gap"), _PIXELS),
    **dict.fromkeys(("ico-line-height", "line-height"), _HEIGHT),
    **dict.fromkeys(COLOURS, "colour"),
    **dict.fromkeys(("cellpadding", "cellspacing"), "number"),
    **dict.fromkeys(("align", "ico-align", "text-align"), _SIDES),
    **dict.fromkeys(("icon-align", "vertical-align"), _MIDDLE),
    "background-repeat": "repeat,no-repeat",
    "direction": "ltr,rtl",
    "fluid-on-mobile": "true,false",
    "full-width": "full-width,false,",
    "icon-position": "left,right",
    "letter-spacing": "px,em-",
    "role": "none,presentation",
    "table-layout": "auto,fixed,initial,inherit",
    "thumbnails": "visible,hidden,supported",
}
_TAKES_HERE = {
    **dict.fromkeys((("mj-body", "width"), ("mj-breakpoint", "width"), ("mj-image", "width")), _PIXELS),
    ("mj-image", "height"): "px,auto",
    ("mj-table", "width"): "px,%,auto",
    ("mj-text", "align"): f"{_SIDES},justify",
    ("mj-social", "mode"): "horizontal,vertical",
}
_EVERYWHERE = frozenset({"css-class", "mj-class"})
_ANYTHING = frozenset({"mj-all", "mj-class"})
ATTRIBUTES: dict[str, frozenset[str]] = {name: frozenset(known.split()) for name, known in _KNOWN.items()}


@lru_cache(maxsize=2048)
def told(component: str, attribute: str) -> str | None:
    """Return what to tell of an attribute that a component does not know; None for one that it knows."""
    known = ATTRIBUTES.get(component, frozenset())
    if component in _ANYTHING or attribute in _EVERYWHERE or attribute in known:
        return None
    close = get_close_matches(attribute[:100], known, n=1, cutoff=0.75)
    question = f" Did you mean '{close[0]}'?" if close else ""
    return f"<{component}> has no attribute '{attribute}', so it does nothing.{question}"


@lru_cache(maxsize=2048)
def doubtful(component: str, attribute: str, value: str) -> str | None:
    """Return what to tell of a value that an attribute does not take; None for one that it takes."""
    takes = _TAKES_HERE.get((component, attribute)) or _TAKES.get(attribute)
    if takes is None or attribute not in ATTRIBUTES.get(component, frozenset()):
        return None
    wanted = _wanted(takes, value)
    return f"'{value[:60]}' is no value for '{attribute}' of <{component}>, which takes {wanted}." if wanted else None


def values(component: str, attribute: str) -> list[str]:
    """Return the words that an attribute takes, ``colour`` alone for the names of colours; none for what is free."""
    takes = _TAKES_HERE.get((component, attribute)) or _TAKES.get(attribute) or "px"
    free = takes.startswith("px") or takes == "number"
    return [] if free else [word for word in takes.split(",") if word]


def _wanted(takes: str, value: str) -> str | None:
    """Return what is wanted instead of a value, by the rules of the reference compiler."""
    if takes == "colour":
        return None if _COLOUR.search(value) or value in NAMES else "a colour such as #0a7d33, rgb(10, 125, 51) or teal"
    if takes == "number":
        return None if re.search(r"\d", value) else "a whole number"
    if not takes.startswith("px"):
        words = takes.split(",")
        return None if value in words else f"one of {', '.join(filter(None, words))}"
    units, negative, most = takes.removesuffix("{1,4}").removesuffix("-"), takes.endswith("-"), 4 if "{" in takes else 1
    words = units.split(",")
    named = "|".join(re.escape(unit) for unit in words if unit != "auto")
    zero = "0|auto" if "auto" in words else "0"
    one = rf"(?:(?:{'-|' if negative else ''}\d|,|\.)+(?:{named})|{zero})"
    if re.fullmatch(rf"(?:{one} ?){{1,{most}}}", value):
        return None
    several = "one to four lengths" if most > 1 else "a length"
    return f"{several} in {' or '.join(filter(None, words))}, such as 12px"
