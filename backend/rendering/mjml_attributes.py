"""The attributes that each component of MJML knows; the reference compiler ignores all others."""

from difflib import get_close_matches
from functools import lru_cache

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
