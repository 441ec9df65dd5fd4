"""Slack's markup drawn as HTML, simply: enough to see what a reader will see."""

import html
import re

from markupsafe import Markup, escape

_CODE = re.compile(r"```\n?(.*?)\n?```|`([^`\n]+)`", re.DOTALL)
_LINK = re.compile(r"<([^<>|]+)(?:\|([^<>]*))?>")
_STYLES = (
    (re.compile(r"(?<!\w)\*(?=\S)([^*\n]*\S)\*(?!\w)"), "strong"),
    (re.compile(r"(?<!\w)_(?=\S)([^_\n]*\S)_(?!\w)"), "em"),
    (re.compile(r"(?<!\w)~(?=\S)([^~\n]*\S)~(?!\w)"), "s"),
)
_QUOTE = re.compile(r"(?m)^(?:&gt;) ?(.*)$")


def draw(text: str) -> Markup:
    """Return markup as HTML; everything that is no markup is escaped, and links lead nowhere."""
    pieces: list[str] = []
    position = 0
    for match in _CODE.finditer(text):
        pieces.append(_styled(text[position : match.start()]))
        block, inline = match[1], match[2]
        words = escape(html.unescape(block if block is not None else inline))
        pieces.append(f"<pre>{words}</pre>" if block is not None else f"<code>{words}</code>")
        position = match.end()
    pieces.append(_styled(text[position:]))
    return Markup("".join(pieces))  # noqa: S704 - every piece is escaped


def _styled(text: str) -> str:
    pieces: list[str] = []
    position = 0
    for match in _LINK.finditer(text):
        pieces.append(_words(text[position : match.start()]))
        label = html.unescape(match[2] or match[1])
        pieces.append(f'<span class="slack-link">{escape(label)}</span>')
        position = match.end()
    pieces.append(_words(text[position:]))
    return "".join(pieces)


def _words(text: str) -> str:
    words = str(escape(html.unescape(text)))
    for pattern, tag in _STYLES:
        words = pattern.sub(rf"<{tag}>\1</{tag}>", words)
    words = _QUOTE.sub(r'<span class="slack-quote">\1</span>', words)
    return words.replace("\n", "<br>")


def plain(text: str) -> str:
    """Return a text without markup as a reader sees it: its three escapes undone."""
    return html.unescape(text)
