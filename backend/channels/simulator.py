"""The simulator: a provider that sends nothing, and whose answers and later news are known beforehand.

It stands in for the provider of every message to one of its addresses, in every mode, and of every message whose mode
is ``test``. A client can be tested with it whole: states, events, callbacks and receipts are the real ones.

Its mailboxes are in a domain that cannot exist (RFC 2606), its numbers among those that Ofcom keeps free for drama.
"""

import enum
import re
from datetime import datetime, timedelta

import msgspec

from backend.channels.base import Channel, Message, Outcome, ProviderError, Receipt, ReceiptEvent, ReceiptKind, Scope

NAME = "simulator"
DOMAIN = "simulator.invalid"
# What is refused at first may come back after so long, and is taken then.
_PAUSE_SECONDS = 5.0
LATE = timedelta(minutes=10)
_MOMENT = timedelta()
_MAILS = frozenset({Channel.EMAIL, Channel.FRESHSERVICE})


class Fate(enum.StrEnum):
    """What becomes of a message; the value is the name of the mailbox."""

    DELIVERED = "delivered"  # taken, and delivered a moment later
    BOUNCED = "bounced"  # taken, and returned a moment later, since there is no such mailbox
    COMPLAINED = "complained"  # taken and delivered; then its reader complains of it
    THROTTLED = "throttled"  # refused as one too many at first, then taken and delivered
    UNKNOWN = "unknown"  # the answer does not come: nobody knows whether it was taken
    REFUSED = "refused"  # refused for good
    SOFT_BOUNCED = "soft-bounced"  # refused for the moment at first, then taken, delayed and delivered
    UNANSWERED = "unanswered"  # taken; nothing is heard of it any more
    LATE = "late"  # taken, delayed, and delivered ten minutes later


class Address(msgspec.Struct, frozen=True):
    """An address of the simulator as the documentation lists it."""

    fate: Fate
    mailbox: str
    number: str
    what: str


_WHAT = {
    Fate.DELIVERED: "Taken, and delivered a moment later",
    Fate.BOUNCED: "Taken, then returned: there is no such mailbox or number",
    Fate.COMPLAINED: "Delivered; then its reader complains of it",
    Fate.THROTTLED: "Held back as one too many, then taken and delivered",
    Fate.UNKNOWN: "The answer is lost: the message waits for a person to decide",
    Fate.REFUSED: "Refused for good",
    Fate.SOFT_BOUNCED: "Refused for the moment, tried again, then delivered",
    Fate.UNANSWERED: "Taken; nothing is heard of it any more",
    Fate.LATE: "Taken, and delivered ten minutes later",
}
ADDRESSES = tuple(
    Address(fate, f"{fate.value}@{DOMAIN}", f"+44770090000{position}", _WHAT[fate])
    for position, fate in enumerate(Fate, start=1)
)
_NUMBERS = {one.number: one.fate for one in ADDRESSES}
_MAILBOX = re.compile(rf"([^@+]+)(?:\+[^@]*)?@{re.escape(DOMAIN)}")


def listed() -> str:
    """Return the addresses as a table in Markdown."""
    rows = [f"| `{one.mailbox}` | `{one.number}` | {one.what} |" for one in ADDRESSES]
    return "\n".join(["| Mailbox | Number | What becomes of it |", "| --- | --- | --- |", *rows])


def is_address(channel: Channel, address: str) -> bool:
    """Tell whether an address in canonical form is one of the simulator's, known or not."""
    if channel is Channel.SMS:
        return address in _NUMBERS
    return channel in _MAILS and _mailbox(address) is not None


def fate(channel: Channel, address: str) -> Fate:
    """Return what becomes of a message: what its address says, else that it is delivered.

    What follows a plus sign in a mailbox (``bounced+42@``) says nothing, so that many can be told apart. A mailbox
    that there is not refuses.
    """
    if channel is Channel.SMS:
        return _NUMBERS.get(address, Fate.DELIVERED)
    found = _mailbox(address) if channel in _MAILS else None
    if found is None:
        return Fate.DELIVERED
    known = {one.value: one for one in Fate}
    return known.get(found[1].lower(), Fate.REFUSED)


def _mailbox(address: str) -> re.Match[str] | None:
    if DOMAIN not in address:  # which most are rid of by
        return None
    return _MAILBOX.fullmatch(address.partition(";")[0])


class News(msgspec.Struct, frozen=True):
    """What the simulator reports of a message that it took, and how long after that."""

    event: ReceiptEvent
    after: timedelta


_NEWS: dict[Fate, tuple[tuple[ReceiptKind, timedelta, str], ...]] = {
    Fate.DELIVERED: ((ReceiptKind.DELIVERED, _MOMENT, "simulated"),),
    Fate.BOUNCED: ((ReceiptKind.BOUNCED, _MOMENT, "simulated: 5.1.1 there is no such mailbox"),),
    Fate.COMPLAINED: (
        (ReceiptKind.DELIVERED, _MOMENT, "simulated"),
        (ReceiptKind.COMPLAINED, timedelta(seconds=1), "simulated: marked as unwanted"),
    ),
    Fate.THROTTLED: ((ReceiptKind.DELIVERED, _MOMENT, "simulated"),),
    Fate.SOFT_BOUNCED: (
        (ReceiptKind.DELAYED, _MOMENT, "simulated: 4.2.2 the mailbox is full"),
        (ReceiptKind.DELIVERED, timedelta(seconds=1), "simulated"),
    ),
    Fate.LATE: (
        (ReceiptKind.DELAYED, _MOMENT, "simulated: 4.2.2 the mailbox is full"),
        (ReceiptKind.DELIVERED, LATE, "simulated"),
    ),
}


def news(channel: Channel, address: str, delivery_id: str, sent_at: datetime) -> list[News]:
    """Return what will be reported of a message that was taken at a moment, oldest first.

    The events are its own again when it is sent anew, since their ids name the moment.
    """
    return [
        News(
            ReceiptEvent(
                provider_message_id=delivery_id,
                kind=kind,
                event_id=f"{delivery_id}-{kind.value}-{sent_at.timestamp():.6f}",
                at=sent_at + after,
                detail=words,
                delivery_id=delivery_id,
            ),
            after,
        )
        for kind, after, words in _NEWS.get(fate(channel, address), ())
    ]


class Simulator:
    """The provider of one channel; it is there without a setting, and its messages are not repeatable."""

    name = NAME

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def open(self) -> "SimulatorConnection":
        """Return a connection, which uses no network."""
        return SimulatorConnection()

    def describe(self) -> str:
        """Return one line for operators."""
        return "Sends nothing: addresses whose fate is known, and clients whose mode is test"


class SimulatorConnection:
    """Takes messages and drops them, or refuses them, as their addresses say."""

    def send(self, message: Message) -> Receipt:
        """Take a message; raise ``ProviderError`` where its address says so."""
        found = fate(message.channel, message.address)
        first = not message.again
        if found is Fate.REFUSED:
            detail = "550 5.7.1 Refused, as its address asks of the simulator."
            raise ProviderError(Outcome.PERMANENT, detail, code="550")
        if found is Fate.UNKNOWN:
            raise ProviderError(Outcome.AMBIGUOUS, "The connection was lost before the answer, as its address asks.")
        if found is Fate.THROTTLED and first:
            raise _for_now(Outcome.THROTTLED, "429", "Too many messages to this address.")
        if found is Fate.SOFT_BOUNCED and first:
            raise _for_now(Outcome.RETRY, "451", "4.2.2 The mailbox is full for the moment.")
        return Receipt(provider_message_id=message.delivery_id, detail="Taken by the simulator; nothing was sent.")

    def close(self) -> None:
        """Let go of nothing."""


def _for_now(outcome: Outcome, code: str, words: str) -> ProviderError:
    """Refuse a message the first time that it comes."""
    return ProviderError(outcome, f"{code} {words}", code=code, retry_after=_PAUSE_SECONDS, scope=Scope.RECIPIENT)
