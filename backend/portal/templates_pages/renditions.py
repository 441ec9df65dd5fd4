"""A rendered message as each of its readers meets it: mail program, phone, inbox list, plain text, chats, SMS."""

import re
from typing import Literal

import msgspec
from markupsafe import Markup

from backend.channels import slack_blocks, sms_segments
from backend.channels.slack_blocks import Divider, Header
from backend.channels.sms_segments import Segments
from backend.portal.templates_pages import mrkdwn, teams_card
from backend.rendering.model import Rendered

MOST_SHOWN = 100_000
# What no frame is drawn for: a browser would take seconds, and no mail program shows it.
MOST_FRAMED = 3_000_000
_OPENING = 140
_IMAGE_HEIGHT = re.compile(r"<img\b[^>]*?\bheight\s*[=:]\s*[\"']?(\d{1,4})", re.IGNORECASE)
_DARK = re.compile(r"prefers-color-scheme\s*:\s*dark", re.IGNORECASE)
_WIDTHS = {"desktop": 76, "phone": 34}
_LINE, _MARGIN, _HIGHEST = 40, 240, 60_000


class SlackBlock(msgspec.Struct, frozen=True):
    """One block of a Slack message: a ``header``, a ``section`` or a ``divider``."""

    kind: str
    markup: Markup | str = ""


class Renditions(msgspec.Struct, frozen=True, kw_only=True):
    """What the preview shows; ``framed`` is the HTML for the frame, absent where it is too long.

    ``heights`` are of the frame, in CSS pixels by width, and rather too great than too small: the frame's document
    cannot be measured from outside, and the page scrolls in its stead, so that a new rendition keeps the place. In the
    dark a message has colours of its ``own``, or programs turn the light ones.
    """

    subject: str | None
    opening: str
    text: str
    cut: bool
    framed: str | None
    too_long: bool
    heights: dict[str, int]
    dark: Literal["own", "turned"]
    slack: list[SlackBlock]
    teams: list[Markup]
    sms: str
    segments: Segments
    size: int


def renditions(rendered: Rendered, size: int) -> Renditions:
    """Prepare a rendered message for its views; what is very long is cut."""
    html = rendered.html
    framed = html if html is not None and len(html) <= MOST_FRAMED else None
    text = rendered.text[:MOST_SHOWN]
    sms = sms_segments.normalise(text)
    bare = rendered.bare_html if framed is not None else None
    return Renditions(
        subject=rendered.subject,
        opening=" ".join(text[: 4 * _OPENING].split())[:_OPENING],
        text=rendered.mail_text[:MOST_SHOWN],
        cut=len(rendered.text) > MOST_SHOWN,
        framed=framed,
        too_long=html is not None and framed is None,
        heights={view: _height(html or "", text, width) for view, width in _WIDTHS.items()},
        dark="own" if _DARK.search(framed or "") else "turned",
        slack=_slack(rendered, text, bare),
        teams=teams_card.drawn(rendered.subject, text, bare),
        sms=sms,
        segments=sms_segments.segments(sms),
        size=size,
    )


def _slack(rendered: Rendered, text: str, html: str | None) -> list[SlackBlock]:
    shown: list[SlackBlock] = []
    for block in slack_blocks.blocks(rendered.subject, text, html):
        if isinstance(block, Divider):
            shown.append(SlackBlock("divider"))
        elif isinstance(block, Header):
            shown.append(SlackBlock("header", mrkdwn.plain(block.text.text)))
        else:
            shown.append(SlackBlock("section", mrkdwn.draw(block.text.text)))
    return shown


def _height(html: str, text: str, width: int) -> int:
    lines = sum(max(1, -(-len(line) // width)) for line in text.split("\n"))
    images = sum(int(height) for height in _IMAGE_HEIGHT.findall(html[:MOST_SHOWN]))
    return min(_MARGIN + lines * _LINE + images, _HIGHEST)
