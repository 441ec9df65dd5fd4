"""Complaints: what mailbox providers tell of a message that its reader does not want (RFC 5965)."""

import email
import hashlib
from email.message import Message

from backend.channels.base import ReceiptEvent, ReceiptKind
from backend.receipts.returned_mail import delivery_of, field, identity_of, moment_of, returned_to, whole

_REPORT = "message/feedback-report"
# Feedback types by which a reader says so (RFC 5965, section 7.3); ``not-spam`` is the contrary, ``virus`` and
# ``auth-failure`` (RFC 6591) are found by machines, and ``other`` may be anything.
_UNWANTED = frozenset({"abuse", "fraud", "opt-out"})
_MAX_DETAIL = 500


def read(mail: Message, parts: list[Message], message: bytes) -> list[ReceiptEvent]:
    """Return the news in a complaint; none if it is none, or not about a message of ours.

    ``parts`` are those of the mail, itself the first; ``message`` is how it came.
    """
    report = next((part for part in parts if part.get_content_type() == _REPORT), None)
    if report is None:
        return []
    fields = email.message_from_string(whole(report).lstrip())
    kind = field(fields, "Feedback-Type").lower()
    delivery = delivery_of(mail, parts) or _by_return_path(fields, parts)
    if kind not in _UNWANTED or delivery is None:
        return []
    key = f"{identity_of(mail, message)}\n{delivery}\n{kind}"
    by = field(fields, "User-Agent")
    return [
        ReceiptEvent(
            provider_message_id=delivery,
            kind=ReceiptKind.COMPLAINED,
            event_id=hashlib.sha256(key.encode("utf-8", "replace")).hexdigest(),
            address=_complained(fields),
            at=moment_of(mail),
            code=kind,
            detail=(f"{kind}, by {by}" if by else kind)[:_MAX_DETAIL],
            delivery_id=delivery,
        )
    ]


def _by_return_path(fields: Message, parts: list[Message]) -> str | None:
    """Find the delivery where the Message-ID was taken out, as some do to hide who complained."""
    return returned_to(field(fields, "Original-Mail-From"), *(field(part, "Return-Path") for part in parts[1:]))


def _complained(fields: Message) -> str | None:
    """Return the one recipient that is named, unless its name was taken out (RFC 6590)."""
    named = fields.get_all("Original-Rcpt-To", [])
    address = str(named[0]).strip().strip("<>") if len(named) == 1 else ""
    return address if "@" in address else None
