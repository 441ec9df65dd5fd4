"""Bounces, complaints and refusals in plain sentences: what happened, whose fault it is, and what to do about it."""

from datetime import datetime
from uuid import UUID

import msgspec

from backend.db.models.notifications import Event
from backend.reports import causes

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
    cause = causes.of(channel, words, complained=event.kind == _COMPLAINED)
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
