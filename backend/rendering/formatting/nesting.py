"""What stands in what: elements and Jinja blocks, as far as their tags tell."""

import re

import msgspec

from backend.rendering.jinja.masking import Hidden

STEP = "  "
_DEEPEST = 60  # levels that are indented; what is deeper stands with the deepest
_KEYWORD = re.compile(r"\{%[-+]?\s*(\w+)")
_BLOCKS = frozenset({"for", "if", "block", "macro", "call", "filter", "set", "with", "autoescape"})
_MIDDLE = frozenset({"else", "elif"})
# What keeps the text that is inside of it, where white space may count.
_CAPTURES = frozenset({"macro", "call", "filter", "set"})
VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "!doctype"}
)
# White space with a line break; what goes before is looked at once only.
BREAK = r"(?<![ \t])[ \t]*+\n[ \t\n]*+"
# Elements that end where another of their kind begins, and one that all pages have.
_IMPLIED = frozenset({"dd", "dt", "li", "option", "p", "td", "th", "tr"})
_FLAT = frozenset({"html"})


class Nesting(msgspec.Struct):
    """The open elements and, by names that begin with ``%``, the open blocks; the innermost is the last."""

    opened: list[str] = []

    @property
    def depth(self) -> int:
        """Return how many levels what comes next is in."""
        return len(self.opened)

    @property
    def captured(self) -> bool:
        """Tell whether a block keeps what comes next."""
        return any(name[1:] in _CAPTURES for name in self.opened if name[0] == "%")

    def open(self, name: str) -> None:
        """Go into an element."""
        if name in _FLAT:
            return
        if self.implied(name):
            self.opened.pop()
        if len(self.opened) < _DEEPEST:
            self.opened.append(name)

    def implied(self, name: str) -> bool:
        """Tell whether an element that is begun ends the one before it."""
        return name in _IMPLIED and self.opened[-1:] == [name]

    def close(self, name: str) -> None:
        """Leave an element, or a block as ``%NAME``, with all that is open in it, if it is open at all."""
        if name in self.opened:
            while self.opened.pop() != name:
                pass

    def statement(self, token: Hidden) -> None:
        """Go into a block or leave one, if a Jinja token does."""
        keyword = keyword_of(token)
        if keyword.startswith("end"):
            self.close(f"%{keyword[3:]}")
        elif _opens(keyword, token.text) and len(self.opened) < _DEEPEST:
            self.opened.append(f"%{keyword}")

    def before(self, keyword: str) -> int:
        """Return the level of a statement that comes next: that of its block where it ends or divides one."""
        if keyword in _MIDDLE:
            blocks = [at for at, name in enumerate(self.opened) if name in {"%if", "%for"}]
            return blocks[-1] if blocks else self.depth
        return self.of(f"%{keyword[3:]}") if keyword.startswith("end") else self.depth

    def of(self, name: str) -> int:
        """Return the level of an open element's or block's own tags."""
        if name not in self.opened:
            return self.depth
        return self.depth - 1 - self.opened[::-1].index(name)


def keyword_of(token: Hidden) -> str:
    """Return the first word of a statement, such as ``endfor``; empty for other tokens."""
    found = _KEYWORD.match(token.text) if token.kind == "statement" else None
    return found[1] if found else ""


def _opens(keyword: str, text: str) -> bool:
    return keyword in _BLOCKS and not (keyword == "set" and "=" in text)
