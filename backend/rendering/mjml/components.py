"""The components of MJML: which there are, what may stand where, and which hold HTML instead of MJML."""

from difflib import get_close_matches

_CONTENT = frozenset(
    {"mj-accordion", "mj-button", "mj-carousel", "mj-divider", "mj-image"}
    | {"mj-navbar", "mj-social", "mj-spacer", "mj-table", "mj-text"}
)

# Components whose content the compiler carries over as it is ("ending tags" in the MJML documentation).
ENDING = frozenset(
    {"mj-accordion-text", "mj-accordion-title", "mj-button", "mj-html-attribute", "mj-navbar-link", "mj-preview"}
    | {"mj-raw", "mj-social-element", "mj-style", "mj-table", "mj-text", "mj-title"}
)

CHILDREN: dict[str, frozenset[str]] = {
    "mjml": frozenset({"mj-head", "mj-body"}),
    "mj-head": frozenset(
        ["mj-attributes", "mj-breakpoint", "mj-font", "mj-html-attributes", "mj-preview", "mj-style", "mj-title"]
    ),
    "mj-html-attributes": frozenset({"mj-selector"}),
    "mj-selector": frozenset({"mj-html-attribute"}),
    "mj-body": frozenset({"mj-section", "mj-wrapper", "mj-hero"}),
    "mj-wrapper": frozenset({"mj-section", "mj-hero"}),
    "mj-section": frozenset({"mj-column", "mj-group"}),
    "mj-group": frozenset({"mj-column"}),
    "mj-column": _CONTENT,
    "mj-hero": _CONTENT,
    "mj-accordion": frozenset({"mj-accordion-element"}),
    "mj-accordion-element": frozenset({"mj-accordion-title", "mj-accordion-text"}),
    "mj-carousel": frozenset({"mj-carousel-image"}),
    "mj-navbar": frozenset({"mj-navbar-link"}),
    "mj-social": frozenset({"mj-social-element"}),
}

# Where the compiler takes mj-raw, and so a Jinja token between components.
HOLDS_RAW = frozenset(
    {"mj-accordion", "mj-accordion-element", "mj-body", "mj-column", "mj-group", "mj-head"}
    | {"mj-hero", "mj-navbar", "mj-section", "mj-social", "mj-wrapper"}
)

KNOWN = frozenset({"mj-raw", *CHILDREN, *(child for children in CHILDREN.values() for child in children)})
DEFAULTS = KNOWN | {"mj-all", "mj-class"}
KNOWN_ELSEWHERE = {
    "mj-include": "mj-include takes the name of a partial in quotes, as in path='footer.mjml', and nothing else",
}


def nearest(name: str) -> str:
    """Ask whether the author meant a component that is written nearly alike."""
    if name.lower() in KNOWN:
        return f"; MJML is written in small letters: <{name.lower()}>"
    close = get_close_matches(name[:100], sorted(KNOWN), n=1, cutoff=0.7)
    return f"; did you mean <{close[0]}>?" if close else ""


def belongs(tag: str) -> str:
    """Say where a component may stand."""
    parents = [f"<{parent}>" for parent, children in CHILDREN.items() if tag in children]
    return f": it belongs directly into {' or '.join(parents)}" if parents else ""
