"""Bounces: what mail servers send back about a message (RFC 3464, RFC 6533), read into the news of providers.

A bounce names our message by the Message-ID of the mail that it returns or answers, or by the address that it came to,
should that carry the delivery's id (``bounces+<id>@…``). Both are the delivery's own.
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
from backend.channels.mail_diagnosis import BAD_ADDRESS, Fault, diagnose

# Everything of interest comes before the body of the mail that is returned.
MAX_BYTES = 1024 * 1024
_MAX_RECIPIENTS = 50
_MAX_TEXT = 16 * 1024  # octets of a text in which recipients and refusals are looked for
_UUID = r"([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})"
_MESSAGE_ID = re.compile(rf"<{_UUID}@[^<>\s]{{1,255}}>")
_RETURN_PATH = re.compile(rf"\+{_UUID}@")
_BEFORE_RECIPIENT = re.compile(r"\r?\n(?=final-recipient:)", re.IGNORECASE)
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_UNITEXT = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_RETURNED_HEADERS = re.compile(rf"^message-id:\s*<{_UUID}@", re.IGNORECASE | re.MULTILINE)
_QMAIL = re.compile(r"^<(?P<address>[^<>\s]{3,320})>:\s*\n(?P<reason>.+?)(?:\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
_QMAIL_GREETING = re.compile(r"\A\s*Hi\. This is the .{1,200}(?:program|agent) at ", re.DOTALL)
_ENVELOPE_FIELDS = ("To", "Delivered-To", "X-Original-To", "Envelope-To")
_REPORTS = {"message/delivery-status", "message/global-delivery-status"}
_RETURNED = {"text/rfc822-headers", "message/global-headers"}
_DAEMON = re.compile(r"\b(?:mailer-daemon|postmaster)@", re.IGNORECASE)
_ANSWERED = ("In-Reply-To", "References")
# In text alone: an address in angle brackets, or at the beginning of a line, and the refusal that stands behind it.
_REFUSED_IN_TEXT = re.compile(
    r"^\s*<?(?P<address>[^<>\s:,;]{1,64}@[^<>\s:,;]{1,255})>?:?\s*\n?(?P<reason>[^\n]*(?:\n[ \t]+[^\n]+){0,6})",
    re.MULTILINE,
)
_REPLY_IN_TEXT = re.compile(r"(?<![\d.])[45]\d\d[ -](?:#?[45]\.\d{1,3}\.\d{1,3})?|#[45]\.\d{1,3}\.\d{1,3}")
_SAYS_THAT_IT_FAILED = re.compile(
    r"undeliver|deliver\w* (?:\w+ ){0,3}fail|fail\w* (?:\w+ ){0,3}deliver|not (?:be )?deliver|"
    r"returned? (?:mail|to sender)|failure notice|nicht zugestellt|unzustellbar|non remis",
    re.IGNORECASE,
)


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
    reports = [part for part in parts if part.get_content_type() in _REPORTS]
    found = [block for part in reports for fields in _of_recipients(part) if (block := _reported(fields)) is not None]
    yield from found if reports else _untyped(parts)


def _of_recipients(report: Message) -> list[Message]:
    """Return the groups of fields of a report that are about a recipient.

    They are set off from those about the message by a blank line, which some servers leave out; and some encode the
    whole, though it must not be (RFC 3464, section 2.1.2).
    """
    payload = report.get_payload()
    groups = [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []
    encoded = _field(report, "Content-Transfer-Encoding").lower() in {"base64", "quoted-printable"}
    if encoded or [len(one.get_all("Final-Recipient", [])) for one in groups[1:]] != [1] * (len(groups) - 1 or 1):
        groups = [email.message_from_string(one.lstrip()) for one in _BEFORE_RECIPIENT.split(_whole(report, groups))]
    return [one for one in groups if _field(one, "Final-Recipient")]


def _whole(report: Message, groups: list[Message]) -> str:
    """Put together what the library took apart, for it expects no encoding here, and decode it."""
    plain = Message()
    plain["Content-Transfer-Encoding"] = _field(report, "Content-Transfer-Encoding")
    plain.set_payload("\n\n".join(one.as_string().strip("\n") for one in groups) or report.get_payload())
    return _decoded(plain)


def _reported(fields: Message) -> _Block | None:
    action = _field(fields, "Action").lower()
    if not action:
        return None
    found = _STATUS.search(_field(fields, "Status"))
    words = _field(fields, "Diagnostic-Code").partition(";")[2].strip() or _field(fields, "Status")
    return _Block(_address(_field(fields, "Final-Recipient")), action.split()[0], found[0] if found else "", words)


def _address(field: str) -> str:
    """Return the address of a field such as ``rfc822; ada@lab.example``, its encoding undone (RFC 3461, RFC 6533)."""
    kind, _, address = field.rpartition(";")
    address = address.strip().strip("<>")
    if kind.strip().lower() == "utf-8":
        return _UNITEXT.sub(lambda found: chr(int(found[1], 16)), address)
    return _XTEXT.sub(lambda found: chr(int(found[1], 16)), address) if _XTEXT.search(address) else address


def _untyped(parts: list[Message]) -> Iterator[_Block]:
    """Read bounces that are plain texts: those of qmail, Exim, and of servers that follow no standard."""
    text = next((_decoded(part) for part in parts if part.get_content_type() == "text/plain"), "")
    failed = _field(parts[0], "X-Failed-Recipients")
    if _QMAIL_GREETING.match(text):
        for match in _QMAIL.finditer(text):
            yield _refused(match["address"], match["reason"])
    elif failed:
        told = {match["address"].lower(): match["reason"] for match in _REFUSED_IN_TEXT.finditer(text)}
        for address in failed.split(","):
            yield _refused(address.strip(), told.get(address.strip().lower(), text[:_MAX_TEXT]))
    elif _is_by_a_machine(parts[0]) and _SAYS_THAT_IT_FAILED.search(
        f"{_field(parts[0], 'Subject')}\n{text[:_MAX_TEXT]}"
    ):
        for match in _REFUSED_IN_TEXT.finditer(text[:_MAX_TEXT]):
            if _REPLY_IN_TEXT.search(match["reason"]):
                yield _refused(match["address"], match["reason"])


def _is_by_a_machine(mail: Message) -> bool:
    """Tell a server's mail from a person's, who may quote a refusal (RFC 5321, section 4.5.5; RFC 3834, section 5)."""
    return (
        _field(mail, "Return-Path") == "<>"
        or _field(mail, "Auto-Submitted").lower() not in {"", "no"}
        or _DAEMON.search(_field(mail, "From")) is not None
    )


def _refused(address: str, reason: str) -> _Block:
    words = " ".join(reason.split())
    found = _STATUS.search(words)
    code = _REPLY_IN_TEXT.search(words)
    status = found[0] if found else f"{code[0][0]}.0.0" if code and code[0][0].isdigit() else ""
    return _Block(address, "failed", status, words)


def _delivery(mail: Message, parts: list[Message]) -> str | None:
    """Find the delivery's id: in the headers that came back, in what is answered, in the text, or in the address."""
    for part in parts[1:]:
        if found := _MESSAGE_ID.search(_field(part, "Message-ID")):
            return found[1]
        if part.get_content_type() in _RETURNED and (found := _RETURNED_HEADERS.search(_decoded(part))):
            return found[1]
    for name in _ENVELOPE_FIELDS:
        if found := _RETURN_PATH.search(_field(mail, name)):
            return found[1]
    text = next((_decoded(part) for part in parts if part.get_content_type() == "text/plain"), "")
    if found := _RETURNED_HEADERS.search(text):
        return found[1]
    answered = (_MESSAGE_ID.search(_field(mail, name)) for name in _ANSWERED)
    return next((found[1] for found in answered if found), None)


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
            return _of_failure(block)
        case "delayed":
            return ReceiptKind.DELAYED
        case "delivered":
            return ReceiptKind.DELIVERED
        case "relayed" | "expanded":
            return ReceiptKind.SENT
        case _:
            return None


def _of_failure(block: _Block) -> ReceiptKind:
    """Tell whether the address is bad; what a server gave up after trying for days says nothing of it."""
    if block.status.startswith("4."):
        return ReceiptKind.FAILED
    fault = diagnose(block.status, block.words)
    if fault in BAD_ADDRESS:
        return ReceiptKind.BOUNCED
    return ReceiptKind.REJECTED if fault is Fault.UNKNOWN else ReceiptKind.FAILED
