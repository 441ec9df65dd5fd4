"""Hides text from the MJML compiler behind placeholders, and brings it back with the author's line numbers."""

import hashlib
import re
import secrets
from bisect import bisect_right
from collections.abc import Iterator

import msgspec
from jinja2 import Environment

from backend.rendering.jinja.tokens import Kind, spans

# Of any source; what only looks like one hides nothing.
ANY_PLACEHOLDER = r"q[0-9a-f]{20}x\d+z"


def _mark(source: str) -> str:
    return f"q{hashlib.sha256(source.encode('utf-8', 'surrogatepass')).hexdigest()[:20]}x"


def _placeholder(mark: str) -> re.Pattern[str]:
    return re.compile(mark + r"(\d+)z")


# To compile a pattern for each source would take as long as to parse it. Nobody can guess it, so nobody can spell it
# in a way that only the HTML decodes.
_USUAL = f"q{secrets.token_hex(10)}x"
_USUAL_PLACEHOLDER = _placeholder(_USUAL)


class Hidden(msgspec.Struct, frozen=True):
    """What one placeholder stands for; ``height`` is how many line breaks it hides."""

    text: str
    line: int
    kind: Kind
    height: int


class LineMap(msgspec.Struct):
    """Leads from a line of the compiled template to the line that the author wrote."""

    compiled: list[int] = []
    written: list[int] = []
    heights: list[int] = []

    def source_line(self, line: int) -> int:
        """Return the author's line for a compiled one; lines count from 1."""
        position = max(bisect_right(self.compiled, line) - 1, 0)
        if not self.compiled:
            return line
        return self.written[position] + min(max(line - self.compiled[position], 0), self.heights[position])


def unify_newlines(text: str) -> str:
    """Write every line break as a line feed, as Jinja counts lines, and drop the mark that some editors put first."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


class Mask:
    """The placeholders of one source.

    A placeholder is letters and digits only, so that it may stand wherever text, an attribute or a part of a URL
    may. It begins with a mark that the source does not contain: as a rule the same, else a digest of the source.
    """

    def __init__(self, source: str) -> None:
        usual = _USUAL not in source
        self.mark = _USUAL if usual else _mark(source)
        self._hidden: list[Hidden] = []
        self.pattern = _USUAL_PLACEHOLDER if usual else _placeholder(self.mark)

    def hide(self, text: str, line: int, kind: Kind, height: int | None = None) -> str:
        """Keep a text and return its placeholder; ``height`` counts its line breaks if it had more once."""
        if height is None:
            height = self.height(text)
        self._hidden.append(Hidden(text, line, kind, height))
        return self.placeholder(len(self._hidden) - 1)

    def placeholder(self, index: int) -> str:
        """Return what stands for a hidden text."""
        return f"{self.mark}{index}z"

    def __getitem__(self, index: int) -> Hidden:
        return self._hidden[index]

    def indices(self, text: str) -> list[int]:
        """Return the numbers of the placeholders that stand in a text, without what these hide in turn."""
        return [int(number) for number in self.pattern.findall(text)] if self.mark in text else []

    def tokens(self, text: str) -> Iterator[tuple[int, Hidden]]:
        """Yield the Jinja tokens that a text holds, at any depth."""
        for index in self.indices(text):
            hidden = self._hidden[index]
            if hidden.kind == "content":
                yield from self.tokens(hidden.text)
            else:
                yield index, hidden

    def bare(self, text: str) -> str:
        """Return what stands in a text beside Jinja tokens, at any depth."""
        pieces = [self.pattern.sub("", text)]
        pieces.extend(self.bare(self[index].text) for index in self.indices(text) if self[index].kind == "content")
        return "".join(pieces)

    def unfold(self, text: str) -> str:
        """Put back everything but the Jinja tokens."""
        if not any(self[index].kind == "content" for index in self.indices(text)):
            return text
        return self.pattern.sub(self._unfold_one, text)

    def _unfold_one(self, match: re.Match[str]) -> str:
        hidden = self[int(match[1])]
        return self.unfold(hidden.text) if hidden.kind == "content" else match[0]

    def height(self, text: str) -> int:
        """Count the line breaks of a text, with those that its placeholders hide."""
        height = text.count("\n")
        if self.mark in text:
            height += sum([self._hidden[int(number)].height for number in self.pattern.findall(text)])
        return height

    def line(self, text: str, offset: int, first: int = 1) -> int:
        """Return the author's line at an offset of a masked text that begins on line ``first``."""
        return first + self.height(text[:offset])

    def reveal(self, text: str) -> tuple[str, LineMap]:
        """Put back what every placeholder stands for, at any depth.

        Each Jinja token gets a line of its own in the result, by a line break inside its brackets where it changes
        nothing, so that the line of a fault leads back to one token.
        """
        pieces: list[str] = []
        lines = LineMap()
        self._reveal(text, pieces, lines, 1)
        return "".join(pieces), lines

    def _reveal(self, text: str, pieces: list[str], lines: LineMap, current: int) -> int:
        position = 0
        for match in self.pattern.finditer(text):
            pieces.append(text[position : match.start()])
            current += pieces[-1].count("\n")
            position = match.end()
            hidden = self._hidden[int(match[1])]
            if hidden.kind == "content":
                current = self._reveal(hidden.text, pieces, lines, current)
                continue
            token = _on_its_own_line(hidden)
            if token is not hidden.text:
                current += 1
                lines.compiled.append(current)
                lines.written.append(hidden.line)
                lines.heights.append(hidden.height)
            pieces.append(token)
            current += hidden.height
        pieces.append(text[position:])
        return current + pieces[-1].count("\n")


def mask_jinja(environment: Environment, source: str, mask: Mask) -> str:
    """Replace every Jinja token of a source by a placeholder."""
    pieces: list[str] = []
    position = 0
    for span in spans(environment, source):
        pieces.append(source[position : span.start])
        pieces.append(mask.hide(source[span.start : span.end], span.line, span.kind))
        position = span.end
    return "".join((*pieces, source[position:]))


def _on_its_own_line(hidden: Hidden) -> str:
    if hidden.kind not in {"statement", "expression"}:
        return hidden.text
    opening = 3 if hidden.text[2] in "-+" else 2
    return f"{hidden.text[:opening]}\n{hidden.text[opening:]}"
