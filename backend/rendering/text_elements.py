"""What the elements of HTML mean for a text."""

import re

from backend.rendering.text_layout import BLOCK, BULLETS, NUMBERS, PARAGRAPH

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
