"""The handbook as its tests read it: its files, its links, and the lines of code in it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "backend" / "docs"
NOT_RUN = "not run: "
_MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Fence:
    """Lines of code with what is said of them behind the language: ``sh background``."""

    page: str
    line: int
    language: str
    manner: str
    text: str


def pages() -> list[Path]:
    """List the pages of the handbook, and those that lead into it."""
    return [ROOT / "README.md", *sorted(ROOT.glob(".github/*.md")), *sorted(FOLDER.rglob("*.md"))]


def tokens(page: Path) -> list[Token]:
    """Parse a page."""
    return _MARKDOWN.parse(page.read_text(encoding="utf-8"))


def fences(page: Path, language: str = "sh") -> list[Fence]:
    """List the lines of code of a page in one language."""
    found = []
    for token in tokens(page):
        named, _, manner = token.info.strip().partition(" ")
        if token.type == "fence" and named == language:
            line = (token.map or [0])[0] + 1
            found.append(Fence(page.relative_to(ROOT).as_posix(), line, named, manner, token.content))
    return found


def inline(page: Path) -> Iterator[Token]:
    """Yield what stands in the text of a page: words, codes, openings of links."""
    for token in tokens(page):
        yield from token.children or ()


def targets(page: Path) -> list[str]:
    """List where a page's links and pictures lead."""
    return [str(token.attrs[name]) for token in inline(page) for name in ("href", "src") if name in token.attrs]


def codes(page: Path) -> list[str]:
    """List what stands as code in the text of a page."""
    return [token.content for token in inline(page) if token.type == "code_inline"]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub writes them."""
    titles = (line.lstrip("#").strip() for line in _headings(page))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _headings(page: Path) -> Iterator[str]:
    parsed = tokens(page)
    for position, token in enumerate(parsed):
        if token.type == "heading_open":
            children = parsed[position + 1].children or ()
            yield "".join(one.content for one in children if one.type in {"text", "code_inline"})
