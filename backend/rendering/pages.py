"""Whole pages: HTML with a language and a title, which browsers and screen readers announce, and a layout around it."""

import re
import secrets

from jinja2.utils import urlize
from markupsafe import escape

from backend.rendering.locales import direction

# What stands for the title and the content while a layout is written: words that nobody can guess.
TITLE, CONTENT = f"t{secrets.token_hex(8)}z", f"c{secrets.token_hex(8)}z"
_NO_SUBJECT = "Notification"
_BODY = re.compile(r"<body\b", re.IGNORECASE)
_ROOT = re.compile(r"<html\b[^>]*>", re.IGNORECASE)
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
_TITLE = re.compile(r"<title\b[^>]*>(.*?)</title\s*>", re.IGNORECASE | re.DOTALL)
_LANG = re.compile(r"""\slang\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""", re.IGNORECASE)
_DIR = re.compile(r"\sdir\s*=", re.IGNORECASE)
_UNDETERMINED = frozenset({"", "und"})
_ADDRESS = re.compile(r"(https?://[^\s<>\"]+)")
_PARAGRAPHS = re.compile(r"\n(?:[ \t]*\n)+")


def completed(html: str, language: str, subject: str | None) -> str:
    """Give a document without a language of its own this one, and one without a title its subject.

    Fragments stay as they are.
    """
    body = _BODY.search(html)
    head, rest = (html[: body.start()], html[body.start() :]) if body else (html, "")
    if _ROOT.search(head) is None:
        return html
    head = _ROOT.sub(lambda root: _spoken(root[0], language), head)
    return _titled(head, f"<title>{escape(subject or _NO_SUBJECT)}</title>") + rest


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
    place = _HEAD.search(head) or _ROOT.search(head)
    assert place is not None  # noqa: S101 - only what has a root gets here
    return head[: place.end()] + title + head[place.end() :]


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
