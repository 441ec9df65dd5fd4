"""What each channel is like: one record each, and the sets of channels that follow from them.

How its addresses are written is in ``backend.channels.addresses``, and its providers in ``backend.channels.registry``.
"""

from collections.abc import Callable
from typing import Literal

import msgspec

from backend.channels.base import Channel


class ChannelRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the other packages ask about a channel.

    ``word`` and ``icon`` are how people see it, ``example`` is an address of it, and ``column`` names its addresses in
    a spreadsheet. ``leaves`` is when its messages leave that no provider of the settings takes: never, in production
    alone, or always.
    """

    word: str
    icon: str
    example: str
    column: str = "address"
    leaves: Literal["never", "in production", "always"] = "never"
    # Its messages need a subject, unless the template has one.
    subject: bool = False
    # Its messages can carry files.
    files: bool = False
    # It has a markup of its own, which is made of the HTML whatever the notification's content type is.
    markup: bool = False
    # Its messages have no HTML.
    text_only: bool = False
    # A link in its messages can be followed by who reads them.
    links: bool = False
    # Its provider names the conversation that a message begins.
    conversations: bool = False
    # A later message can follow an earlier one.
    followed: bool = True
    # An address that bounced or complained is suppressed; elsewhere it is a channel or a webhook of the team's own.
    suppressible: bool = False
    # Its addresses are never secrets, so that they are kept openly.
    open: bool = False
    # The operators have a switch for it.
    switch: bool = False


RECORDS = {
    Channel.EMAIL: ChannelRecord(
        word="Email",
        icon="envelope",
        example="ada@lab.example",
        column="email address",
        subject=True,
        files=True,
        links=True,
        suppressible=True,
        open=True,
        switch=True,
    ),
    Channel.SMS: ChannelRecord(
        word="Text message",
        icon="phone",
        example="+447700900123",
        column="phone number",
        text_only=True,
        suppressible=True,
        open=True,
        switch=True,
    ),
    Channel.SLACK: ChannelRecord(
        word="Slack", icon="hash", example="#lab", markup=True, links=True, conversations=True
    ),
    Channel.MSTEAMS: ChannelRecord(
        word="Teams",
        icon="people",
        example="https://example.logic.azure.com/workflows/…",
        leaves="in production",
        subject=True,
        markup=True,
        links=True,
    ),
    Channel.FRESHSERVICE: ChannelRecord(
        word="Freshservice",
        icon="ticket",
        example="alerts@lab.example;group_id=42",
        subject=True,
        files=True,
        conversations=True,
        open=True,
    ),
    Channel.LETTER: ChannelRecord(
        word="Letter",
        icon="letter",
        example="Ada Byron;1 Example Street;London;SW1A 1AA",
        leaves="always",
        followed=False,
        open=True,
    ),
    Channel.APPRISE: ChannelRecord(
        word="Other services", icon="plug", example="json://server.example/path", leaves="in production"
    ),
}


def _those(hold: Callable[[ChannelRecord], bool]) -> frozenset[Channel]:
    return frozenset(channel for channel, record in RECORDS.items() if hold(record))


NEED_SUBJECT = _those(lambda one: one.subject)
CARRYING_FILES = _those(lambda one: one.files)
CHATS = _those(lambda one: one.markup)
TEXT_ONLY = _those(lambda one: one.text_only)
WITH_LINKS = _those(lambda one: one.links)
SUPPRESSIBLE = _those(lambda one: one.suppressible)
WITH_CONVERSATIONS = _those(lambda one: one.conversations)
NEVER_FOLLOWED = _those(lambda one: not one.followed)
OPEN = _those(lambda one: one.open)
SWITCHED = _those(lambda one: one.switch)
