"""From HTML to flowing text with marks: what the layout needs to know of it, and nothing else.

The conversion reads the HTML once, from left to right, and each tag becomes marks that stand for it wherever it
is. So it does not matter whether Jinja runs before it or after it, as long as every branch and every turn of a loop
leaves the same elements open as it found; where that cannot be told, ``NotDerivable`` is raised.
"""

import re
from collections import Counter
from collections.abc import Callable
from html import unescape

from backend.rendering.jinja.masking import Mask
from backend.rendering.text.elements import (
    ATTRIBUTE,
    BOUNDARIES,
    CLOSED_BY,
    CLOSING,
    KEYWORD,
    LISTS,
    MIDDLE,
    OPENING,
    PLAIN_CONTENT,
    TELLING,
    UNSEEN,
    VOID,
    NotDerivable,
    refuse_decisions,
    refuse_open,
)
from backend.rendering.text.layout import (
    ADDRESS,
    BLOCK,
    BREAK,
    CELL,
    ITEM,
    LINK,
    LINK_END,
    LIST_END,
    PARAGRAPH,
    PREFORMATTED,
    PREFORMATTED_END,
    ROW,
    TABLE,
    TABLE_END,
    clean,
    lay_out,
)

# No "<" outside of quotes, so that a text of nothing but broken tags is read in linear time.
_MARKUP = re.compile(
    r"""<!--.*?(?:-->|\Z)|<[!?][^>]*>|<(/?)([A-Za-z][^\s/<>"']*)((?:[^<>"']|"[^"]*"|'[^']*')*+)>""", re.DOTALL
)
_ENTITY = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|\w+);")
_HALF_ENTITY = re.compile(r"&#?\w*$")
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)


class _Element:
    """An open element: what its end writes, whether it is seen, and for a table whether it holds data."""

    __slots__ = ("end", "hidden", "holds_data", "name")

    def __init__(self, name: str, end: str = "", *, hidden: bool = False, holds_data: bool = False) -> None:
        self.name = name
        self.end = end
        self.hidden = hidden
        self.holds_data = holds_data


_State = tuple[object, ...]
_Decode = Callable[[str], str]
_COMMENT = object()


class _Flow:
    def __init__(self, mask: Mask | None) -> None:
        self._mask = mask
        self._pieces: list[str] = []
        self._open: list[_Element] = []
        self._opened: Counter[str] = Counter()
        self._tables: list[_Element] = []
        self._hidden = 0
        self._blocks: list[_State] = []

    def run(self, html: str) -> str:
        position = 0
        while match := _MARKUP.search(html, position):
            self._text(html[position : match.start()])
            position = match.end()
            name = match[2]
            if name is None:
                self._aside(match[0])
            elif match[1]:
                self._close(self._known(name))
            else:
                name = self._known(name)
                if name == "p" and "border-top" in match[3]:
                    name = "hr"  # as MJML writes a divider
                self._start(name, match[3])
                if name in PLAIN_CONTENT:
                    end = PLAIN_CONTENT[name].search(html, position)
                    stop = end.start() if end else len(html)
                    self._statements(html[position:stop])
                    position = stop
        self._text(html[position:])
        self._close_down_to(0)
        if self._blocks:
            raise NotDerivable
        return "".join(self._pieces)

    def _known(self, name: str) -> str:
        if self._mask is not None and self._mask.pattern.search(name):
            raise NotDerivable
        return name.lower()

    def _text(self, text: str) -> None:
        if self._hidden:
            self._statements(text)
        elif text:
            self._pieces.append(self._literal(text, (), unescape))

    def _literal(self, text: str, within: _State, decode: _Decode) -> str:
        """Decode what stands between Jinja tokens, and keep these."""
        if self._mask is None:
            return clean(decode(text) if "&" in text else text)
        pieces, position = [], 0
        for match in self._mask.pattern.finditer(text):
            literal = text[position : match.start()]
            if _HALF_ENTITY.search(literal):
                raise NotDerivable
            pieces.append(clean(decode(literal)))
            position = match.end()
            self._decide(int(match[1]), within)
            pieces.append(match[0])
        pieces.append(clean(decode(text[position:])))
        return "".join(pieces)

    def _decide(self, index: int, within: _State, *, hidden: bool = False) -> bool:
        """Check that a statement finds open what its block began with; say whether the token is a statement.

        ``within`` names what it stands in beside the open elements, such as a comment.
        """
        assert self._mask is not None  # noqa: S101 - only a mask has placeholders
        token = self._mask[index]
        if token.kind != "statement":
            if token.kind == "verbatim":
                raise NotDerivable
            return False
        match = KEYWORD.match(token.text)
        keyword = match[1] if match else ""
        state = (*self._open, *within)
        if keyword in OPENING:
            self._blocks.append(state)
        elif keyword in MIDDLE | CLOSING:
            if not self._blocks or self._blocks[-1] != state:
                raise NotDerivable
            if keyword in CLOSING:
                self._blocks.pop()
        elif keyword not in {"extends", "set"}:
            raise NotDerivable
        if hidden and keyword in {"block", "extends"}:
            raise NotDerivable
        return True

    def _statements(self, text: str, within: _State = ()) -> None:
        """Keep of what is not seen the statements: they may set what is used later."""
        if self._mask is None:
            return
        for match in self._mask.pattern.finditer(text):
            if self._decide(int(match[1]), within, hidden=True):
                self._pieces.append(match[0])

    def _aside(self, markup: str) -> None:
        """Pass over a comment or declaration."""
        if self._mask is None or not self._mask.indices(markup):
            return
        between = self._mask.pattern.split(markup)[2::2]
        if not markup.startswith("<!--") or any(text.startswith((">", "->")) for text in between):
            raise NotDerivable
        self._statements(markup, (_COMMENT,))

    def _start(self, name: str, attributes: str) -> None:
        for _ in range(2):  # a row closes the cell and the row before it
            if self._open and self._open[-1].name in CLOSED_BY.get(name, ()):
                self._close_down_to(len(self._open) - 1)
        given = self._attributes(name, attributes)
        hidden = name in UNSEEN or bool(_HIDDEN.search(given.get("style", "")))
        element = _Element(name, hidden=hidden)
        if not hidden and not self._hidden:
            self._begin(element, given)
        if name not in VOID:
            self._open.append(element)
            self._opened[name] += 1
            self._hidden += hidden
            if name == "table":
                self._tables.append(element)

    def _begin(self, element: _Element, given: dict[str, str]) -> None:
        name = element.name
        if name in BOUNDARIES:
            start = element.end = BOUNDARIES[name]
        elif name == "table":
            start = self._table(element, given)
        elif name in {"tr", "td", "th"}:
            data = self._in_data_table()
            start = BLOCK if not data else ROW if name == "tr" else CELL
            element.end = "" if data else BLOCK
        elif name in {"a", "img"}:
            start = self._inline(element, given)
        else:
            start = self._rest(element)
        self._pieces.append(start)

    def _rest(self, element: _Element) -> str:
        if element.name in LISTS:
            boundary = BLOCK if any(self._opened[name] for name in LISTS) else PARAGRAPH
            element.end = LIST_END + boundary
            return boundary + LISTS[element.name]
        if element.name == "pre":
            element.end = PREFORMATTED_END + PARAGRAPH
            return PARAGRAPH + PREFORMATTED
        return {"li": BLOCK + ITEM, "br": BREAK}.get(element.name, "")

    def _table(self, element: _Element, given: dict[str, str]) -> str:
        """Begin a table; one that only lays out is none, and MJML centres those that are sections."""
        if given.get("role") in {"presentation", "none"}:
            element.end = PARAGRAPH if given.get("align") == "center" else BLOCK
            return element.end
        element.holds_data = True
        element.end = TABLE_END
        return TABLE

    def _in_data_table(self) -> bool:
        if self._tables:
            return self._tables[-1].holds_data
        if self._mask is not None:
            raise NotDerivable  # the table may be in the layout that this template extends
        return False

    def _inline(self, element: _Element, given: dict[str, str]) -> str:
        if element.name == "img":
            return f" {self._literal(given.get('alt', ''), (element,), _decode_attribute)} "
        if "href" not in given:
            return ""
        element.end = ADDRESS + self._literal(given["href"].strip(), (element,), _decode_attribute) + LINK_END
        return LINK

    def _attributes(self, name: str, text: str) -> dict[str, str]:
        """Return the attributes that the text depends on."""
        if self._mask is not None and (indices := self._mask.indices(text)):
            refuse_open([self._mask[index] for index in indices])
            refuse_decisions(name, text, self._mask)
        if name not in TELLING and "none" not in text.lower():
            return {}
        given: dict[str, str] = {}
        for match in ATTRIBUTE.finditer(text):
            given.setdefault(match[1].lower(), match[2] or match[3] or match[4] or "")
        return given

    def _close(self, name: str) -> None:
        if self._opened[name]:
            position = len(self._open) - 1
            while self._open[position].name != name:
                position -= 1
            self._close_down_to(position)

    def _close_down_to(self, position: int) -> None:
        for element in reversed(self._open[position:]):
            self._hidden -= element.hidden
            self._opened[element.name] -= 1
            self._pieces.append(element.end)
            if element.name == "table":
                self._tables.pop()
        del self._open[position:]


def _decode_attribute(text: str) -> str:
    """Decode the references of an attribute; in an address a bare ``&copy`` is the name of a parameter."""
    return _ENTITY.sub(lambda match: unescape(match[0]), text)


def flow(html: str) -> str:
    """Convert HTML that holds no Jinja."""
    return _Flow(None).run(html)


def flow_of_template(html: str, mask: Mask) -> str:
    """Convert HTML whose Jinja tokens are masked; raises NotDerivable."""
    return _Flow(mask).run(html)


def text_alternative(html: str) -> str:
    """Write an HTML message as text: links with their addresses, images by their alt text, tables as lines."""
    return lay_out(flow(html))
