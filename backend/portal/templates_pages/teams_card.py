"""A message as Microsoft Teams draws its Adaptive Card: near enough to see what a reader will see.

Text blocks know bold, italics, links and lists of Markdown, no more.
https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features
"""

import re
from collections.abc import Sequence

import msgspec
from markupsafe import Markup, escape

from backend.channels import adaptive_card

_ESCAPED = re.compile(r"\\([*_\[\]\\.)+-])")
# Where an escaped character waits until the marks are read.
_ASIDE = 0xE000
_WAITING = re.compile("[\ue020-\ue07f]")
_LINK = re.compile(r"\[([^\[\]]*)\]\([^()\s]*\)")
_BOLD = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*")
_ITALIC = re.compile(r"(?<!\w)_(?=\S)(.+?)(?<=\S)_(?!\w)")
_ITEM = re.compile(r"^( *)(-|\d{1,9}[.)])\s+(.*)$")
_DEEPEST = 3


class TextBlock(msgspec.Struct, tag_field="type", tag="TextBlock", rename="camel"):
    """A paragraph or heading."""

    text: str
    size: str = ""
    style: str = ""
    font_type: str = ""
    is_subtle: bool = False
    separator: bool = False


class Fact(msgspec.Struct):
    """A name and its value."""

    title: str
    value: str


class FactSet(msgspec.Struct, tag_field="type", tag="FactSet"):
    """Names and values in two columns."""

    facts: list[Fact]
    separator: bool = False


class Container(msgspec.Struct, tag_field="type", tag="Container"):
    """Text that stands on a ground of its own."""

    items: list[TextBlock]
    separator: bool = False


class Column(msgspec.Struct):
    """One cell of a row."""

    items: list[TextBlock]


class ColumnSet(msgspec.Struct, tag_field="type", tag="ColumnSet"):
    """A row of a table."""

    columns: list[Column]
    separator: bool = False


Element = TextBlock | FactSet | Container | ColumnSet


class _Card(msgspec.Struct):
    body: list[Element]


class _Attachment(msgspec.Struct):
    content: _Card


class _Envelope(msgspec.Struct):
    attachments: list[_Attachment]


def drawn(subject: str | None, text: str, bare_html: str | None) -> list[Markup]:
    """Draw the elements of the card that is sent for a message, one below the other."""
    sent = msgspec.json.decode(adaptive_card.body(subject, text, bare_html), type=_Envelope)
    return [_element(one) for attachment in sent.attachments for one in attachment.content.body]


def _element(one: Element) -> Markup:
    line = Markup("<hr>") if one.separator else Markup()
    if isinstance(one, TextBlock):
        return line + _block(one)
    if isinstance(one, FactSet):
        rows = (Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(_words(o.title), _words(o.value)) for o in one.facts)
        return line + Markup('<dl class="teams-facts">{}</dl>').format(Markup().join(rows))
    if isinstance(one, Container):
        return line + Markup('<div class="teams-ground">{}</div>').format(_blocks(one.items))
    cells = Markup().join(Markup("<div>{}</div>").format(_blocks(cell.items)) for cell in one.columns)
    return line + Markup('<div class="teams-row">{}</div>').format(cells)


def _blocks(items: Sequence[TextBlock]) -> Markup:
    return Markup().join(map(_block, items))


def _block(one: TextBlock) -> Markup:
    names = ["teams-text"]
    names += [f"teams-heading teams-{one.size.lower() or 'default'}"] if one.style == "heading" else []
    names += ["mono"] if one.font_type == "Monospace" else []
    names += ["quiet"] if one.is_subtle else []
    lines = (_line(line) for line in re.split(r"\n+", one.text))
    return Markup('<div class="{}">{}</div>').format(" ".join(names), Markup().join(lines))


def _line(line: str) -> Markup:
    item = _ITEM.match(line)
    if item is None:
        return Markup("<p>{}</p>").format(_words(line))
    level = min(len(item[1]) // 4, _DEEPEST)
    mark = "•" if item[2] == "-" else item[2]
    return Markup('<p class="teams-item teams-item-{}"><span>{}</span> <span>{}</span></p>').format(
        level, mark, _words(item[3])
    )


def _words(text: str) -> Markup:
    """Return a text block's words as HTML; everything that is no mark is escaped, and links lead nowhere."""
    aside = _ESCAPED.sub(lambda found: chr(_ASIDE + ord(found[1])), text)
    words = str(escape(aside))
    words = _LINK.sub(r'<span class="slack-link">\1</span>', words)
    words = _ITALIC.sub(r"<em>\1</em>", _BOLD.sub(r"<strong>\1</strong>", words))
    return Markup(_WAITING.sub(lambda found: chr(ord(found[0]) - _ASIDE), words))  # noqa: S704 - every piece is escaped
