"""Puts an MJML template together with its partials and layouts: MJML is compiled as a whole, before Jinja runs.

``mj-include``, and ``include`` of what is written in MJML, give their place to the partial; the blocks of a template
that extends a layout in MJML take the place of the layout's. What is written in HTML is left to Jinja.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial

import msgspec

from backend.rendering.faults import TemplateFault
from backend.rendering.jinja.environments import LIBRARY, MJML
from backend.rendering.jinja.masking import unify_newlines
from backend.rendering.jinja.tokens import Span, spans
from backend.rendering.mjml.components import CHILDREN, KNOWN
from backend.rendering.model import Location, Partial, Source, TemplateWarning

_INCLUDE = re.compile(r"""<mj-include\s+path=(?:"([^"]*)"|'([^']*)')\s*(?:/>|>\s*</mj-include\s*>)""")
_STATEMENT = re.compile(r"""\{%[-+]?\s*(\w+)\s*(?:["']([^"']*)["']|([\w.]*))""")
_BLOCK_ITSELF = re.compile(r"\{\{[-+]?\s*self\.(\w+)\(\)\s*[-+]?\}\}")
_SUPER = re.compile(r"\{\{[-+]?\s*super\(\)\s*[-+]?\}\}")
_FIRST_TAG = re.compile(r"<(mj[\w-]*)")
# What a template that extends a layout says outside of its blocks and still means.
_KEPT = frozenset({"from", "import", "set"})
_DEEPEST = 10


class Piece(msgspec.Struct, frozen=True):
    """A part of the whole; ``name`` is the partial that it comes from, ``line`` the one on which it begins there."""

    text: str
    name: str | None
    line: int


class Assembled(msgspec.Struct, frozen=True):
    """A whole document, and for each of its lines where that was written."""

    text: str
    locations: tuple[Location, ...] = ()

    def location(self, line: int) -> Location:
        """Return where a line of the whole was written; lines count from 1."""
        return self.locations[min(line, len(self.locations)) - 1] if self.locations else Location(line)

    def fault(self, fault: TemplateFault) -> TemplateFault:
        """Return a fault of the whole as one of what its author wrote."""
        if fault.line is None or not self.locations:
            return fault
        location = self.location(fault.line)
        if location.name is None:
            return TemplateFault(fault.reason, location.line, fault.pointer)
        return fault.within(location.name, location.line)

    def warning(self, warning: TemplateWarning) -> TemplateWarning:
        """Return a warning of the whole as one of what its author wrote."""
        if warning.line is None or not self.locations:
            return warning
        location = self.location(warning.line)
        if location.name is None:
            return TemplateWarning(location.line, warning.code, warning.detail)
        return TemplateWarning(None, warning.code, f"{warning.detail} (Line {location.line} of '{location.name}'.)")


def assemble(source: Source) -> Assembled:
    """Put a template together; raises TemplateFault for what is not there, or contains itself."""
    text = unify_newlines(source.source)
    known = {**starters_partials(), **{one.name: one for one in source.partials if one.format == "mjml"}}
    if source.fragment:
        text = _as_document(text)
    pieces = list(_Assembly(known).whole(Piece(text, None, 1), {}, ()))
    if len(pieces) == 1:
        return Assembled(pieces[0].text)
    return Assembled("".join(piece.text for piece in pieces), tuple(_locations(pieces)))


def included(text: str) -> Iterator[str]:
    """Yield the names that a text includes by ``mj-include``."""
    return (match[1] or match[2] or "" for match in _INCLUDE.finditer(text))


@cache
def starters_partials() -> dict[str, Partial]:
    """Return the partials of the starter library by their names."""
    paths = sorted((LIBRARY / "partials").glob("*.mjml"))
    return {path.name: Partial(path.name, "mjml", path.read_text(encoding="utf-8").strip()) for path in paths}


def _as_document(text: str) -> str:
    """Put a part where its first component may stand, on the lines that it has."""
    tag = next((match[1] for match in _FIRST_TAG.finditer(text) if match[1] in KNOWN and match[1] != "mj-raw"), None)
    if tag is None:
        raw = text if "<mj-raw" in text else f"<mj-raw>{text}</mj-raw>"
        return f"<mjml><mj-body>{raw}</mj-body></mjml>"
    if tag == "mjml":
        return text
    while tag not in CHILDREN["mjml"]:
        tag = next((parent for parent, children in CHILDREN.items() if tag in children), "mj-body")
        text = f"<{tag}>{text}</{tag}>"
    other = "" if tag == "mj-body" else "<mj-body></mj-body>"
    return f"<mjml>{text}{other}</mjml>"


_Blocks = Mapping[str, tuple[Piece, ...]]
_Make = Callable[[], Iterator[Piece]]


class _Assembly:
    def __init__(self, known: Mapping[str, Partial]) -> None:
        self._known = known

    def whole(self, piece: Piece, blocks: _Blocks, within: tuple[str, ...]) -> Iterator[Piece]:
        """Yield the pieces of a text in which ``blocks`` take the place of those that it has."""
        found = spans(MJML, piece.text)
        layout = next((span for span in found if _statement(piece.text, span)[0] == "extends"), None)
        name = _statement(piece.text, layout)[1] if layout is not None else ""
        if layout is None or (name not in self._known and "<mjml" in piece.text):
            yield from self._filled(piece, blocks, within)
            return
        if name not in self._known:
            line = piece.line + layout.line - 1
            raise TemplateFault(f"extends: '{name}' is no layout in MJML", line)
        own = {}
        for span, inside in _blocks(piece, found):
            own[_statement(piece.text, span)[1]] = tuple(self._filled(inside, blocks, within))
        for span in found:
            if _statement(piece.text, span)[0] in _KEPT and not _inside_a_block(piece.text, found, span):
                yield Piece(piece.text[span.start : span.end], piece.name, piece.line + span.line - 1)
        merged = {**own, **{key: _with_super(value, own.get(key)) for key, value in blocks.items()}}
        yield from self.whole(self._text(name, within, Location(layout.line, piece.name)), merged, (*within, name))

    def _filled(self, piece: Piece, blocks: _Blocks, within: tuple[str, ...]) -> Iterator[Piece]:
        """Yield a text with its blocks filled and its partials put in."""
        position = 0
        for start, end, pieces in sorted(self._changes(piece, blocks, within), key=lambda change: change[0]):
            if start < position:
                continue  # inside of what was replaced
            yield _cut(piece, position, start)
            yield from pieces()
            position = end
        yield _cut(piece, position, len(piece.text))

    def _changes(self, piece: Piece, blocks: _Blocks, within: tuple[str, ...]) -> Iterator[tuple[int, int, _Make]]:
        found = spans(MJML, piece.text)
        inner: dict[str, _Make] = {}
        if blocks or piece.name is not None:
            for span, inside in _blocks(piece, found):
                name = _statement(piece.text, span)[1]
                inner[name] = partial(self._block, inside, blocks.get(name), blocks, within)
                closing = piece.text.index("%}", span.end + len(inside.text)) + 2
                yield span.start, closing, inner[name]
            for match in _BLOCK_ITSELF.finditer(piece.text):
                if match[1] in inner:
                    yield match.start(), match.end(), inner[match[1]]
        for match in _INCLUDE.finditer(piece.text):
            name = match[1] or match[2] or ""
            yield match.start(), match.end(), self._included(piece, match.start(), name, within, "mj-include")
        for span in found:
            tag, name = _statement(piece.text, span)
            if tag == "include" and name in self._known:
                yield span.start, span.end, self._included(piece, span.start, name, within, tag)

    def _block(
        self, inside: Piece, given: tuple[Piece, ...] | None, blocks: _Blocks, within: tuple[str, ...]
    ) -> Iterator[Piece]:
        default = list(self._filled(inside, blocks, within))
        yield from default if given is None else _with_super(given, default)

    def _included(self, piece: Piece, offset: int, name: str, within: tuple[str, ...], tag: str) -> _Make:
        line = piece.line + piece.text.count("\n", 0, offset)

        def make() -> Iterator[Piece]:
            if name not in self._known:
                known = ", ".join(sorted(self._known))
                raise TemplateFault(
                    f"{tag} takes the name of a partial in quotes ({known}); there is no '{name}'", line
                )
            yield from self.whole(self._text(name, within, Location(line, piece.name)), {}, (*within, name))

        return make

    def _text(self, name: str, within: tuple[str, ...], location: Location) -> Piece:
        if name in within or len(within) > _DEEPEST:
            chain = " includes ".join((*within, name))
            raise TemplateFault(f"'{name}' contains itself: {chain}", location.line if location.name is None else None)
        return Piece(unify_newlines(self._known[name].source), name, 1)


def _statement(text: str, span: Span) -> tuple[str, str]:
    """Return the name of a statement and its first argument, both empty for any other token."""
    match = _STATEMENT.match(text, span.start) if span.kind == "statement" else None
    return (match[1], match[2] or match[3] or "") if match else ("", "")


def _blocks(piece: Piece, found: tuple[Span, ...]) -> Iterator[tuple[Span, Piece]]:
    """Yield the outermost blocks of a text: the statement that begins each, and what it holds."""
    depth, first = 0, found[0] if found else None
    for span in found:
        tag = _statement(piece.text, span)[0]
        if tag == "block":
            first = first if depth else span
            depth += 1
        elif tag == "endblock" and depth:
            depth -= 1
            if depth == 0 and first is not None:
                yield first, _cut(piece, first.end, span.start)


def _inside_a_block(text: str, found: tuple[Span, ...], wanted: Span) -> bool:
    depth = 0
    for span in found:
        if span is wanted:
            return depth > 0
        tag = _statement(text, span)[0]
        depth += (tag == "block") - (tag == "endblock")
    return False


def _cut(piece: Piece, start: int, end: int) -> Piece:
    return Piece(piece.text[start:end], piece.name, piece.line + piece.text.count("\n", 0, start))


def _with_super(given: tuple[Piece, ...], default: Sequence[Piece] | None) -> tuple[Piece, ...]:
    """Put what a block of the layout holds where the block that takes its place asks for it."""
    if default is None:
        return given
    pieces: list[Piece] = []
    for piece in given:
        position = 0
        for match in _SUPER.finditer(piece.text):
            pieces += [_cut(piece, position, match.start()), *default]
            position = match.end()
        pieces.append(_cut(piece, position, len(piece.text)))
    return tuple(pieces)


def _locations(pieces: list[Piece]) -> Iterator[Location]:
    """Yield where each line was written: the author's own words count first, then what was put in last."""
    here: Location | None = None
    for piece in pieces:
        lines = piece.text.split("\n")
        for number, text in enumerate(lines):
            location = Location(piece.line + number, piece.name)
            if here is None or (text.strip() and here.name is not None):
                here = location
            if number < len(lines) - 1:
                yield here
                here = None
    if here is not None:
        yield here
