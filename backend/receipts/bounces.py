"""Bounces: what mail servers send back about a message (RFC 3464), read into the news of providers.

A bounce names our message by the Message-ID of the mail that it returns, or by the address that it came to, should
that carry the delivery's id (``bounces+<id>@…``). Both are the delivery's own.
"""

import email
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime

import msgspec

from backend.channels.base import ReceiptEvent, ReceiptKind

# Everything of interest comes before the body of the mail that is returned.
MAX_BYTES = 1024 * 1024
_MAX_RECIPIENTS = 50
_UUID = r"([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})"
_MESSAGE_ID = re.compile(rf"<{_UUID}@[^<>\s]{{1,255}}>")
_RETURN_PATH = re.compile(rf"\+{_UUID}@")
_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_RETURNED_HEADERS = re.compile(rf"^message-id:\s*<{_UUID}@", re.IGNORECASE | re.MULTILINE)
_QMAIL = re.compile(r"^<(?P<address>[^<>\s]{3,320})>:\s*\n(?P<reason>.+?)(?:\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
_QMAIL_GREETING = re.compile(r"\A\s*Hi\. This is the .{1,200}(?:program|agent) at ", re.DOTALL)
_ENVELOPE_FIELDS = ("To", "Delivered-To", "X-Original-To", "Envelope-To")
# Refused for good, yet not because of the address: full, not now, too big, its content, a policy (RFC 3463).
_ADDRESS_IS_GOOD = re.compile(r"\d\.(2\.[2-4]|3\.\d+|4\.[1-7]|5\.\d+|6\.\d+|7\.\d+)")


class _Block(msgspec.Struct, frozen=True):
    """What a bounce says of one recipient."""

    address: str
    action: str
    status: str
    words: str


def read(message: bytes) -> list[ReceiptEvent]:
    """Return the news in a bounce; none if it is not one, or not about a message of ours.

    Raises:
        ValueError: for what cannot be read as a mail.
    """
    try:
        mail = email.message_from_bytes(message[:MAX_BYTES])
        parts = list(mail.walk())
        blocks = list(_blocks(parts))[:_MAX_RECIPIENTS]
        delivery = _delivery(mail, parts)
    except (RecursionError, LookupError, UnicodeError) as error:
        raise ValueError("The message cannot be read as a mail.") from error
    if delivery is None:
        return []
    identity = _identity(mail, message)
    at = _moment(mail)
    return [event for block in blocks if (event := _event(block, delivery, identity, at)) is not None]


def _blocks(parts: list[Message]) -> Iterator[_Block]:
    reports = [part for part in parts if part.get_content_type() == "message/delivery-status"]
    for part in reports:
        payload = part.get_payload()
        for fields in payload[1:] if isinstance(payload, list) else []:
            if isinstance(fields, Message) and (block := _reported(fields)) is not None:
                yield block
    if not reports:
        yield from _untyped(parts)


def _reported(fields: Message) -> _Block | None:
    action = _field(fields, "Action").lower()
    if not action:
        return None
    address = _field(fields, "Final-Recipient").rpartition(";")[2].strip()
    found = _STATUS.search(_field(fields, "Status"))
    words = _field(fields, "Diagnostic-Code").partition(";")[2].strip() or _field(fields, "Status")
    return _Block(address, action.split()[0], found[0] if found else "", words)


def _untyped(parts: list[Message]) -> Iterator[_Block]:
    """Read the bounces of qmail and old Exim, which are plain texts."""
    text = next((_decoded(part) for part in parts if part.get_content_type() == "text/plain"), "")
    failed = _field(parts[0], "X-Failed-Recipients")
    if _QMAIL_GREETING.match(text):
        for match in _QMAIL.finditer(text):
            reason = " ".join(match["reason"].split())
            found = _STATUS.search(reason)
            yield _Block(match["address"], "failed", found[0] if found else "", reason)
    elif failed:
        found = _STATUS.search(text)
        for address in failed.split(","):
            yield _Block(address.strip(), "failed", found[0] if found else "", found[0] if found else "")


def _delivery(mail: Message, parts: list[Message]) -> str | None:
    """Find the delivery's id: in the headers that came back, in the text, or in the bounce's own address."""
    for part in parts[1:]:
        if found := _MESSAGE_ID.search(_field(part, "Message-ID")):
            return found[1]
        if part.get_content_type() == "text/rfc822-headers" and (found := _RETURNED_HEADERS.search(_decoded(part))):
            return found[1]
    for name in _ENVELOPE_FIELDS:
        if found := _RETURN_PATH.search(_field(mail, name)):
            return found[1]
    text = next((_decoded(part) for part in parts if part.get_content_type() == "text/plain"), "")
    found = _RETURNED_HEADERS.search(text)
    return found[1] if found else None


def _field(fields: Message, name: str) -> str:
    return " ".join(str(fields.get(name, "")).split())


def _decoded(part: Message) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("utf-8", "replace").replace("\r\n", "\n") if isinstance(payload, bytes) else ""


def _identity(mail: Message, message: bytes) -> str:
    """Return what is the same whenever this bounce comes again."""
    return _field(mail, "Message-ID") or hashlib.sha256(message).hexdigest()


def _moment(mail: Message) -> datetime | None:
    try:
        moment = parsedate_to_datetime(_field(mail, "Date"))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _event(block: _Block, delivery: str, identity: str, at: datetime | None) -> ReceiptEvent | None:
    kind = _kind(block)
    if kind is None:
        return None
    key = f"{identity}\n{block.address}\n{block.action}\n{block.status}"
    return ReceiptEvent(
        provider_message_id=delivery,
        kind=kind,
        event_id=hashlib.sha256(key.encode("utf-8", "replace")).hexdigest(),
        address=block.address or None,
        at=at,
        code=block.status or None,
        detail=block.words[:500],
        delivery_id=delivery,
    )


def _kind(block: _Block) -> ReceiptKind | None:
    match block.action:
        case "failed":
            for_good = block.status.startswith("5.") and not _ADDRESS_IS_GOOD.fullmatch(block.status)
            return ReceiptKind.BOUNCED if for_good else ReceiptKind.FAILED
        case "delayed":
            return ReceiptKind.DELAYED
        case "delivered":
            return ReceiptKind.DELIVERED
        case "relayed" | "expanded":
            return ReceiptKind.SENT
        case _:
            return None
