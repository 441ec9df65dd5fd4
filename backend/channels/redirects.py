"""Redirects: one mailbox, chat channel or webhook that gets a client's messages in place of whom they are meant for."""

import re
from collections.abc import Sequence
from html import escape

import msgspec

from backend.channels import addresses, simulator
from backend.channels.base import Channel
from backend.lib.problems import Problem

_FORM = "A redirect is an e-mail address, a Slack channel such as #uat-mail, or the URL of a Slack or Teams webhook."
_BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)


class Way(msgspec.Struct, frozen=True):
    """Where a message goes; ``meant_for`` is where it would have gone, on the channel asked for, if that is elsewhere.

    The address is in canonical form.
    """

    channel: Channel
    address: str
    meant_for: str | None = None


def canonical(address: str, allow: Sequence[str] = ()) -> str:
    """Return a redirect's address in canonical form; ``allow`` is as that of ``addresses.normalise``.

    Raises:
        Problem: ``invalid_value`` for what is none.
    """
    for channel in _channels(address.strip()):
        try:
            return addresses.normalise(channel, address, allow)
        except Problem:
            continue
    raise Problem("invalid_value", _FORM)


def _channels(address: str) -> tuple[Channel, ...]:
    """Return the channels that an address may be of, by its form."""
    if "://" in address:
        teams = "hooks.slack.com" not in address
        return (Channel.MSTEAMS, Channel.SLACK) if teams else (Channel.SLACK,)
    return (Channel.EMAIL,) if "@" in address else (Channel.SLACK,)


def way(channel: Channel, address: str, redirect: str | None) -> Way:
    """Say where a message goes; what is for the simulator reaches nobody, and stays with it."""
    if redirect is None or simulator.is_address(channel, address):
        return Way(channel, address)
    return Way(_channels(redirect)[0], redirect, address)


def notice(channel: str, meant_for: str) -> str:
    """Say who would have had a message."""
    return f"Redirected: this would have gone to {addresses.masked(channel, meant_for)} ({channel})."


def on_top(line: str, text: str) -> str:
    """Put a line on top of a text."""
    return f"{line}\n\n{text}"


def on_top_of_html(line: str, html: str) -> str:
    """Put a line on top of a page or a part of one."""
    shown = f'<p style="margin:0;padding:8px 12px;background:#fff3cd;color:#3d2f00">{escape(line)}</p>'
    found = _BODY.search(html)
    position = found.end() if found else 0
    return html[:position] + shown + html[position:]
