"""Whole pages: HTML with a language and a title, which browsers and screen readers announce, and a layout around it.

The layout that surrounds the HTML of Markdown and text is our own, or one of the service's.
"""

import re
import secrets
from collections.abc import Iterator
from functools import lru_cache

from jinja2 import Template, nodes
from jinja2.utils import urlize
from markupsafe import escape

from backend.rendering.faults import TemplateFault
from backend.rendering.jinja.environments import HTML
from backend.rendering.jinja.masking import unify_newlines
from backend.rendering.jinja.sandbox import Sandbox
from backend.rendering.jinja.trees import references, walk
from backend.rendering.locales import direction
from backend.rendering.model import NO_LAYOUT, Source

_OURS, _BARE = "mail.html", "bare.html"
_OF_NO_FIELD = frozenset({"self", "super"})
# What stands for the title and the content while a layout is written: words that nobody can guess.
TITLE, CONTENT = f"t{secrets.token_hex(8)}z", f"c{secrets.token_hex(8)}z"
_NO_SUBJECT = "Notification"
_BODY = re.compile(r"<body\b", re.IGNORECASE)
_ROOT = re.compile(r"<html\b[^>]*>", re.IGNORECASE)
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
_TITLE = re.compile(r"<title\b[^>]*>(.*?)</title\s*>", re.IGNORECASE | re.DOTALL)
_LANG = re.compile(r"""\slang\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""", re.IGNORECASE)
_DIR = re.compile(r"\sdir\s*=", re.IGNORECASE)
# What lacks nothing, as it is mostly written: told by the first characters, at once.
_COMPLETE = re.compile(
    r"""\s*<!doctype html>\s*<html\s+lang="(?!und")[a-z][\w-]*"[^<>]*>\s*<head>\s*<title>\s*[^<\s][^<]*</title>""",
    re.IGNORECASE,
)
_UNDETERMINED = frozenset({"", "und"})
_ADDRESS = re.compile(r"(https?://[^\s<>\"]+)")
_PARAGRAPHS = re.compile(r"\n(?:[ \t]*\n)+")


def layout_of(source: Source) -> tuple[Template, bool]:
    """Return the layout with its blocks filled, those for title and content by marks; tell whether it reads any field.

    Raises:
        TemplateFault: for a layout that is not there in HTML, or has no place for the content.
    """
    partials = {one.name: unify_newlines(one.source) for one in source.partials if one.format == "html"}
    if source.layout is None or source.layout == NO_LAYOUT:
        return _ours(_OURS if source.layout is None else _BARE, source.language), False
    environment = HTML.with_library(partials)
    if source.layout not in partials:
        raise TemplateFault(f"the layout of these e-mails, '{source.layout}', is no layout in HTML")
    if "content" not in set(_blocks(environment, source.layout)):
        raise TemplateFault(f"the layout of these e-mails, '{source.layout}', has no block named 'content'")
    varies = any(_reads_a_field(node) for text in partials.values() for node in walk(environment.parse(text)))
    return _filled(environment, source.layout, source.language), varies


@lru_cache(maxsize=64)
def _ours(name: str, language: str) -> Template:
    return _filled(HTML, name, language)


def _filled(environment: Sandbox, name: str, language: str) -> Template:
    blocks = {"title": TITLE, "content": CONTENT, "language": language, "direction": direction(language)}
    filled = "".join(f"{{% block {block} %}}{text}{{% endblock %}}" for block, text in blocks.items())
    return environment.from_string(f"{{% extends '{name}' %}}{filled}")


def _blocks(environment: Sandbox, name: str, deepest: int = 10) -> Iterator[str]:
    """Yield the names of the blocks of a layout, and of those that it extends."""
    for node in walk(environment.parse(environment.library[name])):
        if isinstance(node, nodes.Block):
            yield node.name
        elif isinstance(node, nodes.Extends) and deepest:
            for one in references(node) or ():
                if one in environment.library:
                    yield from _blocks(environment, one, deepest - 1)


def _reads_a_field(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.ctx == "load" and node.name not in _OF_NO_FIELD


def completed(html: str, language: str, subject: str | None) -> str:
    """Give a document without a language of its own this one, and one without a title its subject.

    Fragments stay as they are.
    """
    root = None if _COMPLETE.match(html) else _ROOT.search(html)
    if root is None:
        return html
    start = html.find("<body")  # much quicker than a pattern, and nearly always right
    body = _BODY.search(html) if start < 0 else None
    start = body.start() if body else start if start >= 0 else len(html)
    if root.start() > start:
        return html
    head = html[: root.start()] + _spoken(root[0], language) + html[root.end() : start]
    return _titled(head, f"<title>{escape(subject or _NO_SUBJECT)}</title>") + html[start:]


def is_undetermined(language: str | None) -> bool:
    """Tell whether the value of a ``lang`` attribute says nothing."""
    return (language or "").strip().lower() in _UNDETERMINED


def _spoken(root: str, language: str) -> str:
    """Write the language into a start tag that has none, and its direction where that is from right to left."""
    found = _LANG.search(root)
    if found is not None and not is_undetermined(found[1] or found[2] or found[3]):
        return root
    written = f' lang="{escape(language)}"'
    if direction(language) == "rtl" and _DIR.search(root) is None:
        written += ' dir="rtl"'
    if found is not None:
        return root[: found.start()] + written + root[found.end() :]
    return root[: len("<html")] + written + root[len("<html") :]


def _titled(head: str, title: str) -> str:
    found = _TITLE.search(head)
    if found is not None:
        return head if found[1].strip() else head[: found.start()] + title + head[found.end() :]
    anchor = _HEAD.search(head) or _ROOT.search(head)
    assert anchor is not None  # noqa: S101 - only what has a root gets here
    return head[: anchor.end()] + title + head[anchor.end() :]


def surrounded(layout: str, html: str, subject: str | None) -> str:
    """Put HTML and its title into a layout that was written with ``TITLE`` and ``CONTENT`` in their places."""
    return layout.replace(TITLE, str(escape(subject or _NO_SUBJECT))).replace(CONTENT, html)


def text_to_html(text: str) -> str:
    """Write plain text as paragraphs: its lines and spaces as they are, its web addresses as links."""
    paragraphs = ("<br>\n".join(map(_line, one.split("\n"))) for one in _PARAGRAPHS.split(text.strip("\n")))
    return "\n".join(f"<p>{one}</p>" for one in paragraphs if one)


def _line(text: str) -> str:
    """Write one line; all but the last of several spaces are kept from being one, so that columns stay columns."""
    pieces = _ADDRESS.split(text.expandtabs(4))
    written = (urlize(one) if index % 2 else str(escape(one)) for index, one in enumerate(pieces))
    return re.sub(r"^ | (?= )", "&nbsp;", "".join(written))
