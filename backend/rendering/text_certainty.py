"""What Jinja may do in HTML whose text is to be told before the fields are known."""

import re

from backend.rendering.masking import Hidden, Mask
from backend.rendering.text_elements import TELLING

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
            written = " ".join([match[0], *(mask[index].text for index in indices)]).lower()
            if "display" in written or "none" in written:
                raise NotDerivable
