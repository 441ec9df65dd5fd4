"""The handbook's files as pages: Markdown to HTML with anchors, its relative links as addresses of the product.

The files are in ``backend/docs``, and are read there by people too: a link names a file, and ``index.md`` is the table
of contents of both.
"""

import hashlib
import itertools
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup, escape

from backend.lib import resources

FOLDER = Path(__file__).resolve().parents[1] / "docs"
ADDRESS = "/docs/guide"
# What is no page and is served as it is, with its media type.
FILES = {".svg": "image/svg+xml", ".yml": "application/yaml", ".json": "application/json"}
_STATIC = "../../static/"
_INDEX = "index.md"
_NO_LETTER = re.compile(r"[^\w\- ]")


class Heading(msgspec.Struct, frozen=True):
    """A heading of a page, and its anchor as GitHub writes it."""

    anchor: str
    title: str
    level: int


class HandbookPage(msgspec.Struct, frozen=True):
    """A page: its title, its headings of the second and third level, and its HTML."""

    name: str
    title: str
    headings: tuple[Heading, ...]
    html: Markup


class Entry(msgspec.Struct, frozen=True):
    """A line of the contents: the name of a page, and what it is called there."""

    name: str
    title: str


class Chapter(msgspec.Struct, frozen=True):
    """A part of the contents."""

    title: str
    entries: tuple[Entry, ...]


@lru_cache(maxsize=1)
def names() -> Mapping[str, Path]:
    """Return the files of the pages by their names: ``operations/settings``, and nothing for the first."""
    return {_name(path.relative_to(FOLDER).as_posix()): path for path in sorted(FOLDER.rglob("*.md"))}


@lru_cache(maxsize=1)
def files() -> Mapping[str, Path]:
    """Return the other files by their paths: ``operations/rules.yml``."""
    found = (path for path in sorted(FOLDER.rglob("*")) if path.suffix in FILES)
    return {path.relative_to(FOLDER).as_posix(): path for path in found}


@lru_cache(maxsize=1)
def contents() -> tuple[Chapter, ...]:
    """Read the contents out of the first page: its headings and the links of the lists below them."""
    chapters: list[tuple[str, list[Entry]]] = []
    tokens = _MARKDOWN.parse(names()[""].read_text(encoding="utf-8"))
    for token, inline in itertools.pairwise(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            chapters.append((_words(inline), []))
        elif token.type == "paragraph_open" and token.level and chapters:
            chapters[-1][1].extend(_linked(inline.children or ()))
    return tuple(Chapter(title, tuple(entries)) for title, entries in chapters if entries)


def _linked(children: Sequence[Token]) -> Iterator[Entry]:
    for position, child in enumerate(children):
        target = str(child.attrs.get("href", ""))
        if child.type == "link_open" and _name(target) in names():
            yield Entry(_name(target), children[position + 1].content)


@lru_cache(maxsize=256)
def read(name: str) -> HandbookPage:
    """Read a page.

    Raises:
        KeyError: there is none of this name.
    """
    path = names()[name]
    tokens = _MARKDOWN.parse(path.read_text(encoding="utf-8"))
    headings = tuple(_anchored(tokens))
    _label(tokens)
    folder = path.parent.relative_to(FOLDER).as_posix()
    for token in tokens:
        for child in token.children or ():
            _lead(child, folder)
    html = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return HandbookPage(name, headings[0].title, headings[1:], Markup(html))  # noqa: S704 - our own, HTML switched off


def address(target: str, folder: str) -> str | None:
    """Return where a link of a file in ``folder`` leads in the product; None where that is outside of it."""
    path, mark, anchor = target.partition("#")
    if re.match(r"[a-z]+:", target) or not path:
        return target
    whole = posixpath.normpath(posixpath.join(folder, path))
    if whole.startswith(_STATIC):
        return _picture(whole.removeprefix(_STATIC))
    if whole in files():
        return f"{ADDRESS}/{whole}"
    name = _name(whole)
    return f"{ADDRESS}/{name}".rstrip("/") + mark + anchor if name in names() else None


def _picture(name: str) -> str:
    """Return the address of a picture of the portal, which changes with its content: browsers keep it for good."""
    content = (resources.folder("static") / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


def _name(path: str) -> str:
    name = path.removesuffix(_INDEX) if path.endswith(_INDEX) else path.removesuffix(".md")
    return name.rstrip("/")


def _lead(token: Token, folder: str) -> None:
    for attribute in ("href", "src"):
        if attribute in token.attrs:
            leads = address(str(token.attrs[attribute]), folder)
            if leads is None:
                del token.attrs[attribute]
            else:
                token.attrs[attribute] = leads


def _anchored(tokens: Sequence[Token]) -> Iterator[Heading]:
    """Give each heading an anchor, and the second of a name a number, as GitHub does."""
    seen: dict[str, int] = {}
    for token, inline in itertools.pairwise(tokens):
        if token.type != "heading_open":
            continue
        title = _words(inline)
        anchor = _NO_LETTER.sub("", title.lower()).replace(" ", "-")
        before = seen.get(anchor, 0)
        seen[anchor] = before + 1
        anchor += f"-{before}" if before else ""
        token.attrs["id"] = anchor
        if token.tag in {"h1", "h2", "h3"}:
            yield Heading(anchor, title, int(token.tag[1]))
        if token.tag != "h1":
            opening = Token("link_open", "a", 1, attrs={"href": f"#{anchor}"})
            inline.children = [opening, *(inline.children or ()), Token("link_close", "a", -1)]


def _words(inline: Token) -> str:
    return "".join(child.content for child in inline.children or () if child.type in {"text", "code_inline"})


def _fence(_self: Any, tokens: Sequence[Token], position: int, _options: OptionsDict, _env: Any) -> str:
    """Write lines of code as the portal does; they can be scrolled by keyboard."""
    label = "Commands" if tokens[position].info.startswith("sh") else "Lines"
    text = escape(tokens[position].content)
    return f'<div class="snippet"><pre tabindex="0" aria-label="{label}"><code>{text}</code></pre></div>\n'


def _table_open(_self: Any, _tokens: Sequence[Token], _index: int, _options: OptionsDict, _env: Any) -> str:
    return '<div class="table-frame card"><table class="table">\n'


def _table_close(_self: Any, _tokens: Sequence[Token], _index: int, _options: OptionsDict, _env: Any) -> str:
    return "</table></div>\n"


def _label(tokens: Sequence[Token]) -> None:
    """Write into each cell of a table what its column is called, which stands there where the page is narrow."""
    columns: list[str] = []
    position = 0
    for token, inline in itertools.pairwise(tokens):
        if token.type == "table_open":
            columns = []
        elif token.type == "tr_open":
            position = 0
        elif token.type == "th_open":
            token.attrs["scope"] = "col"
            columns.append(_words(inline))
        elif token.type == "td_open":
            token.attrs["data-label"] = columns[position]
            position += 1


def _made() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}, renderer_cls=RendererHTML).enable("table")
    markdown.add_render_rule("fence", _fence)
    markdown.add_render_rule("table_open", _table_open)
    markdown.add_render_rule("table_close", _table_close)
    return markdown


_MARKDOWN = _made()
