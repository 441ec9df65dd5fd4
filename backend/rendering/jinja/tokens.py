"""Where the Jinja tokens of a text are."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

import msgspec
from jinja2 import Environment

Kind = Literal["statement", "expression", "comment", "verbatim", "content"]
_KINDS: dict[str, Kind] = {
    "block": "statement",
    "variable": "expression",
    "comment": "comment",
    "raw": "verbatim",
}
_EDGES: dict[str, Kind] = {"{{": "expression", "{%": "statement", "{#": "comment"}
_BEGIN = re.compile(r"\{[{%#]")
# What plain tokens are made of: names, numbers, operators, and strings without escapes or braces. No brace stands
# inside, so that the first one ends the token, if its brackets are closed.
_STRING = r"""\"[^\"\\{}]*\"|'[^'\\{}]*'"""
_INSIDE = rf"(?:[A-Za-z0-9_\s.,:|+\-*/~=<>%;()\[\]]|!=|{_STRING})*?"
_PLAIN = re.compile(
    rf"\{{\{{[-+]?{_INSIDE}\}}\}}|\{{%[-+]?+(?!\s*raw\b){_INSIDE}%\}}|\{{#.*?#\}}", re.ASCII | re.DOTALL
)
_BRACKETS = re.compile(rf"{_STRING}|[()\[\]]")
_CLOSING = {")": "(", "]": "["}


class Span(msgspec.Struct, frozen=True):
    """One Jinja token of a text: offsets of its first character and after its last, its line, its kind."""

    start: int
    end: int
    line: int
    kind: Kind


@lru_cache(maxsize=4)
def spans(environment: Environment, source: str) -> tuple[Span, ...]:
    """Find every Jinja token of a source whose line breaks are line feeds.

    Plain tokens are found by one pattern, ten times as fast as Jinja's own lexer finds them; as soon as anything is
    not plain, the lexer is asked for all. The last few answers are kept, since one source is asked for by several
    steps of its compilation. Raises jinja2.TemplateSyntaxError where the lexer does.
    """
    found = plain_spans(source)
    return tuple(lexed_spans(environment, source)) if found is None else tuple(found)


def plain_spans(source: str) -> list[Span] | None:
    """Find the tokens of a source that has plain ones only; ``None`` for any other."""
    found: list[Span] = []
    position, line = 0, 1
    while begin := _BEGIN.search(source, position):
        token = _PLAIN.match(source, begin.start())
        if token is None:
            return None
        kind = _EDGES[begin[0]]
        if kind != "comment" and not _closed(token[0]):
            return None
        line += source.count("\n", position, begin.start())
        found.append(Span(begin.start(), token.end(), line, kind))
        line += token[0].count("\n")
        position = token.end()
    return found


def _closed(token: str) -> bool:
    """Tell whether every bracket of a token is closed: the lexer goes on to the end of the token for others."""
    if "(" not in token and "[" not in token and ")" not in token and "]" not in token:
        return True
    waiting: list[str] = []
    for piece in _BRACKETS.findall(token):
        if piece in _CLOSING:
            if not waiting or waiting.pop() != _CLOSING[piece]:
                return False
        elif piece in "([":
            waiting.append(piece)
    return not waiting


def lexed_spans(environment: Environment, source: str) -> Iterator[Span]:
    """Find the tokens of any source by Jinja's own lexer."""
    position, start, first = 0, 0, 1
    for line, name, value in environment.lexer.tokeniter(source, None):
        while not source.startswith(value, position):
            position += 1  # the lexer drops the white space before {%- and after -%}
        kind, _, edge = name.rpartition("_")
        if edge == "begin" and kind in _KINDS:
            start, first = position, line
        position += len(value)
        if (edge == "end" and kind in _KINDS) or name == "raw_begin":
            end = start + len(source[start:position].rstrip())
            if name == "raw_end":
                start = source.rindex("{%", 0, end)
                first = line
            yield Span(start, end, first, _KINDS[kind])
