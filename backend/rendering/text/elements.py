"""What the elements of HTML mean for a text, and what Jinja may do in them before fields are known."""

import re

from backend.rendering.jinja.masking import Hidden, Mask
from backend.rendering.text.layout import BLOCK, BULLETS, NUMBERS, PARAGRAPH

VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
UNSEEN = frozenset({"head", "script", "style", "template", "title"})
PLAIN_CONTENT = {name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style", "title")}
# The tags whose attributes are shown or change the layout.
TELLING = frozenset({"a", "img", "table"})
CELLS = frozenset({"td", "th"})
LISTS = {"ul": BULLETS, "ol": NUMBERS}
BOUNDARIES: dict[str, str] = {
    **dict.fromkeys(["p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "dl", "figure"], PARAGRAPH),
    **dict.fromkeys(["address", "article", "aside", "body", "caption", "center", "dd", "div", "dt"], BLOCK),
    **dict.fromkeys(["figcaption", "footer", "form", "header", "hr", "label", "main", "nav", "section"], BLOCK),
}
# What the start of an element closes without being told to.
CLOSED_BY: dict[str, frozenset[str]] = {
    "li": frozenset({"li"}),
    "td": CELLS,
    "th": CELLS,
    "tr": CELLS | {"tr"},
    **dict.fromkeys(BOUNDARIES, frozenset({"p"})),
    **dict.fromkeys(["ul", "ol", "table", "pre"], frozenset({"p"})),
}


ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?""")
KEYWORD = re.compile(r"\{%[-+]?\s*(\w+)")
OPENING = frozenset({"block", "for", "if", "with"})
MIDDLE = frozenset({"elif", "else"})
CLOSING = frozenset({"endblock", "endfor", "endif", "endwith"})


class NotDerivable(Exception):
    """The text of a template depends on more than can be told before its fields are known."""


def refuse_open(tokens: list[Hidden]) -> None:
    """Refuse Jinja that reaches out of the tag in which it stands."""
    depth = 0
    for token in tokens:
        match = KEYWORD.match(token.text)
        if token.kind == "statement" and match is not None:
            if match[1] not in {"if", "for", "elif", "else", "endif", "endfor"}:
                raise NotDerivable
            depth += (match[1] in OPENING) - (match[1] in CLOSING)
        if depth < 0:
            raise NotDerivable
    if depth:
        raise NotDerivable


def refuse_decisions(name: str, text: str, mask: Mask) -> None:
    """Refuse Jinja that decides what a tag means; a value inside of a style is taken to hide nothing."""
    free = mask.indices(ATTRIBUTE.sub(lambda match: match[1], text))
    if free and (name in TELLING or "display" in text.lower()):
        raise NotDerivable
    for match in ATTRIBUTE.finditer(text):
        attribute, indices = match[1].lower(), mask.indices(match[0])
        if indices and name == "table" and attribute in {"align", "role"}:
            raise NotDerivable
        if indices and attribute == "style":
            _refuse_hiding(match[0], mask)


def _refuse_hiding(style: str, mask: Mask) -> None:
    """Refuse a style of which Jinja may decide whether the element is seen, by a statement or in a declaration."""
    tokens = [mask[index] for index in mask.indices(style)]
    statements = any(token.kind == "statement" for token in tokens)
    parts = [style] if statements else [one for one in style.split(";") if mask.indices(one)]
    written = " ".join([*parts, *(token.text for token in tokens)]).lower()
    if "display" in written or "none" in written:
        raise NotDerivable
