"""Why a message did not arrive, in plain sentences: whose fault it is, and what to do about it.

It is the one place where a mail server's enhanced status (RFC 3463) and words are put for people.
"""

import re
from datetime import datetime
from uuid import UUID

import msgspec

from backend.channels.base import Channel
from backend.channels.mail_diagnosis import Fault, diagnose
from backend.db.models.notifications import Event

# An enhanced status code, RFC 3463: class, subject and detail.
_STATUS = re.compile(r"\b[45]\.\d{1,3}\.\d{1,3}\b")
_CAUSES = {
    Fault.MAILBOX: (
        "There is no such mailbox.",
        "Ask its owner for the right address and correct it at the recipient, or take it out there.",
    ),
    Fault.DOMAIN: (
        "What stands behind the @ takes no mail, or does not exist.",
        "Look for a slip of the pen behind the @, and correct it at the recipient.",
    ),
    Fault.FULL: ("The mailbox is full.", "Send it again when its owner has made room, or reach them in another way."),
    Fault.DISABLED: (
        "The mailbox is switched off.",
        "Its owner may have left: ask who has their work now, and change the recipient.",
    ),
    Fault.SENDER: (
        "The receiving side does not take mail from our sender address.",
        "An administrator looks at the sender in the settings of this service, and at its domain’s records.",
    ),
    Fault.SET_UP: (
        "The receiving side does not take mail as our server is set up.",
        "Show the operators of this installation the server’s words below.",
    ),
    Fault.AUTHENTICATION: (
        "Our mail does not prove where it comes from (SPF, DKIM or DMARC).",
        "An administrator looks at the records of the sender’s domain, which the settings of this service show.",
    ),
    Fault.RELAY: (
        "The server does not carry our mail there.",
        "Show the operators of this installation the server’s words below.",
    ),
    Fault.POLICY: (
        "A rule of the receiving side forbids it; the address itself may be right.",
        "Ask its owner, or whoever runs their mail, to let our sender in.",
    ),
    Fault.CONTENT: (
        "The receiving side took the content for spam or worse.",
        "Look at the message’s words, links and attachments, and ask whoever runs their mail.",
    ),
    Fault.BLOCKLIST: (
        "A blocklist names our server.",
        "Show the operators of this installation the server’s words below; they name the list.",
    ),
    Fault.RATE: (
        "The receiving side asks us to wait: too much came at a time, or it does not know our server yet.",
        "Send it again later.",
    ),
    Fault.SIZE: ("The message is too large for the receiving side.", "Make its attachments smaller, or link to them."),
    Fault.ROUTE: (
        "The way to the mailbox is broken: the receiving side was not reached, or sends mail in a circle.",
        "Send it again later; if it stays so, ask whoever runs their mail.",
    ),
    Fault.SYSTEM: ("The receiving server had a fault of its own.", "Send it again later."),
    Fault.UNKNOWN: (
        "The other side does not say why.",
        "Look at its words below, and ask the address’s owner whether it is right.",
    ),
}
_COMPLAINT = (
    "They pressed “spam” or its like in their mail program.",
    "Ask them before anything goes there again, or take the address out of its recipient.",
)
_ELSEWHERE = (
    "The other side does not take messages for this address.",
    "Look at its words below, and see that the address is right at its recipient.",
)
_BOUNCED, _COMPLAINED = "receipt_bounced", "receipt_complained"
_REJECTED, _FAILED = "receipt_rejected", "receipt_failed"
KINDS = ("permanent", _BOUNCED, _COMPLAINED, _REJECTED, _FAILED)
_WHAT = {
    "permanent": "The message was refused at once.",
    _BOUNCED: "The message bounced.",
    _COMPLAINED: "The reader marked the message as unwanted.",
    _REJECTED: "The message was accepted and refused later.",
    _FAILED: "The message was accepted and did not arrive.",
}


class Cause(msgspec.Struct, frozen=True):
    """Why, and what to do; ``code`` is the enhanced status of a mail server, if it gave one."""

    why: str
    advice: str
    code: str | None


def of(channel: str, words: str, *, complained: bool = False) -> Cause:
    """Explain what the other side said of a message."""
    status = _STATUS.search(words)
    code = status[0] if status else None
    if complained:
        return Cause(*_COMPLAINT, code)
    return Cause(*(_CAUSES[diagnose(code, words)] if channel == Channel.EMAIL else _ELSEWHERE), code)


def of_mail(channel: str | None, words: str | None) -> Cause | None:
    """Explain what a mail server said; None where that tells no more than its words do."""
    if channel != Channel.EMAIL or not words:
        return None
    status = _STATUS.search(words)
    fault = diagnose(status[0] if status else None, words)
    return None if fault is Fault.UNKNOWN else Cause(*_CAUSES[fault], status[0] if status else None)


# Bounces, complaints and refusals in plain sentences: what happened, whose fault it is, and what to do about it.


class News(msgspec.Struct, frozen=True, kw_only=True):
    """Something that came back from an address: what happened, why, what to do, and the other side's own words.

    ``code`` is the enhanced status of a mail server (RFC 3463), if it gave one.
    """

    at: datetime
    kind: str
    what: str
    cause: str
    advice: str
    code: str | None
    words: str
    notification_uid: UUID | None


def explained(event: Event, channel: str, notification_uid: UUID | None) -> News:
    """Explain an event of one of the ``KINDS``."""
    words = event.detail or ""
    cause = of(channel, words, complained=event.kind == _COMPLAINED)
    return News(
        at=event.at,
        kind=event.kind,
        what=_WHAT[event.kind],
        cause=cause.why,
        advice=cause.advice,
        code=cause.code,
        words=words,
        notification_uid=notification_uid,
    )
