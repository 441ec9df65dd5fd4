"""CommonMark with values in it: a value is put in after the text is parsed, so that none of it is read as markup.

While a template runs, each value stands as a word of letters and digits that nobody can guess. Wherever that word
comes to stand — in text, in a table, in code, in the address of a link — the value is written as that place wants it.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markupsafe import Markup

from backend.rendering.faults import LimitExceeded
from backend.rendering.limits import OUTPUT_CHARACTERS
from backend.rendering.model import Source

_MARK = f"q{secrets.token_hex(8)}x"
_WORD = re.compile(rf"{_MARK}(\d+)z")
_AUTOLINK = re.compile(rf"<([^\s<>]*{_MARK}\d+z[^\s<>]*)>")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]*")
_MAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)*")
# CommonMark 0.31, with strikethrough: what begins inline structure anywhere, and a block at the start of a line.
_INLINE = re.compile(r"\\(?=[!-/:-@\[-`{-~])|[`*\[\]]|<(?=[A-Za-z/!?])|(?<![^\W_])_|_(?![^\W_])|~(?=~)|(?<=~)~")
_BLOCK = re.compile(
    r"^[ \t]*(#{1,6}(?=[ \t]|$)|>|[+-](?=[ \t]|$)|[-=]+(?=[ \t]*$)|~{3,}|\d{1,9}(?=[.)](?:[ \t]|$)))", re.MULTILINE
)
# What works on what was printed, such as a filter of what a macro wrote, would find words in the place of values.
_FILTERED = re.compile(
    r"\{%[-+]?\s*(?:filter|macro|call|import|from)\b|\{%[-+]?\s*set\s+[^=%]+%\}|\brecursive\b|\bself\b|\bsuper\b"
)


class Values:
    """The values that one message prints."""

    def __init__(self) -> None:
        self._values: list[str] = []
        self._characters = 0

    def keep(self, value: str) -> str:
        """Keep a value and return the word that stands for it; nothing stands for nothing."""
        if not value:
            return ""
        self._characters += len(value)
        if self._characters > OUTPUT_CHARACTERS:
            raise LimitExceeded(f"the message is longer than {OUTPUT_CHARACTERS:,} characters")
        self._values.append(value)
        return f"{_MARK}{len(self._values) - 1}z"

    def put(self, text: str) -> str:
        """Put the values into a text as they are."""
        return _WORD.sub(lambda word: self._values[int(word[1])], text) if _MARK in text else text

    def markdown(self, text: str) -> str:
        """Put the values into CommonMark."""
        return _WORD.sub(lambda word: escape_markdown(self._values[int(word[1])]), text)


_values: ContextVar[Values | None] = ContextVar("values", default=None)


@lru_cache(maxsize=256)
def _is_filtered(source: Source) -> bool:
    texts = (source.source, *(one.source for one in source.partials if one.format == source.format))
    return any(map(_FILTERED.search, texts))


def values_kept(source: Source) -> AbstractContextManager[Values]:
    """Keep the values that a CommonMark template prints inside, unless it, or a partial, works on what it printed."""
    return _kept() if source.format == "markdown" and not _is_filtered(source) else nullcontext(Values())


@contextmanager
def _kept() -> Iterator[Values]:
    kept = Values()
    token = _values.set(kept)
    try:
        yield kept
    finally:
        _values.reset(token)


def written(value: str) -> Markup:
    """Write a value into CommonMark: a word for it where values are kept, else escaped."""
    kept = _values.get()
    return Markup(escape_markdown(value) if kept is None else kept.keep(value))  # noqa: S704 - text, escaped


def escape_markdown(text: str) -> str:
    """Escape a value so that CommonMark shows it as it is; identifiers with inner underscores stay untouched."""
    return _BLOCK.sub(_escape_block, _INLINE.sub(r"\\\g<0>", text))


def to_html(body: str, values: Values) -> str:
    """Write CommonMark as HTML; HTML that the author or a value writes is shown, not obeyed."""
    tokens = _MARKDOWN.parse(body, {"values": values})
    for token in tokens:
        _fill(token, values)
    return str(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))


def _escape_block(match: re.Match[str]) -> str:
    mark = match.group(1)
    # A digit cannot be escaped, so the list mark after it is; the indent goes, since it could make a code block.
    return f"\\{mark}" if not mark.isdigit() else mark + "\\"


def _fill(token: Token, values: Values) -> None:
    """Put the values where they stand; a line break in text is one for the reader too."""
    token.info = values.put(token.info)
    for name, value in list(token.attrs.items()):
        if isinstance(value, str) and _MARK in value:
            token.attrs[name] = values.put(value)
            if name in {"href", "src"}:
                address = _MARKDOWN.normalizeLink(str(token.attrs.pop(name)))
                if _MARKDOWN.validateLink(address):
                    token.attrs[name] = address
    if token.children is None:
        token.content = values.put(token.content)
        return
    for child in token.children:
        _fill(child, values)
    token.children = [piece for child in token.children for piece in _lines(child)]


def _lines(token: Token) -> list[Token]:
    if token.type != "text" or "\n" not in token.content:
        return [token]
    pieces: list[Token] = []
    for line in re.split(r"\r\n?|\n", token.content):
        pieces += [Token("hardbreak", "br", 0), Token("text", "", 0, content=line)]
    return pieces[1:]


def _autolink(state: StateInline, silent: bool) -> bool:
    """Read ``<{{ address }}>``, whose value may be an address or not."""
    match = _AUTOLINK.match(state.src, state.pos)
    values = state.env.get("values")
    if match is None or values is None:
        return False
    shown = values.put(match[1])
    mail = _MAIL.fullmatch(shown)
    if mail is None and _ADDRESS.fullmatch(shown) is None:
        return False
    if not silent:
        state.push("link_open", "a", 1).attrs = {"href": f"mailto:{match[1]}" if mail else match[1]}
        state.push("text", "", 0).content = match[1]
        state.push("link_close", "a", -1)
    state.pos = match.end()
    return True


_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_MARKDOWN.inline.ruler.before("autolink", "value_autolink", _autolink)
