"""Bounces: what mail servers send back about a message (RFC 3464, RFC 6533), read into the news of providers.

Complaints (RFC 5965) come the same way, and are read where they are found.
"""

import email
import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from email.message import Message

import msgspec

from backend.channels.base import ReceiptEvent, ReceiptKind
from backend.channels.mail_diagnosis import BAD_ADDRESS, Fault, diagnose
from backend.receipts import complaints
from backend.receipts.returned_mail import decoded, delivery_of, field, identity_of, moment_of, whole

# Everything of interest comes before the body of the mail that is returned.
MAX_BYTES = 1024 * 1024
_MAX_RECIPIENTS = 50
_MAX_TEXT = 16 * 1024  # octets of a text in which recipients and refusals are looked for
_BEFORE_RECIPIENT = re.compile(r"\r?\n(?=final-recipient:)", re.IGNORECASE)
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_UNITEXT = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_QMAIL = re.compile(r"^<(?P<address>[^<>\s]{3,320})>:\s*\n(?P<reason>.+?)(?:\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
_QMAIL_GREETING = re.compile(r"\A\s*Hi\. This is the .{1,200}(?:program|agent) at ", re.DOTALL)
_REPORTS = {"message/delivery-status", "message/global-delivery-status"}
_DAEMON = re.compile(r"\b(?:mailer-daemon|postmaster)@", re.IGNORECASE)
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
    """Return the news in a bounce or a complaint; none if it is neither, or not about a message of ours.

    Raises:
        ValueError: for what cannot be read as a mail.
    """
    try:
        mail = email.message_from_bytes(message[:MAX_BYTES])
        parts = list(mail.walk())
        complaint = complaints.read(mail, parts, message)
        blocks = [] if complaint else list(_blocks(parts))[:_MAX_RECIPIENTS]
        delivery = delivery_of(mail, parts)
    except (RecursionError, LookupError, UnicodeError) as error:
        raise ValueError("The message cannot be read as a mail.") from error
    if complaint or delivery is None:
        return complaint
    identity = identity_of(mail, message)
    at = moment_of(mail)
    return [event for block in blocks if (event := _event(block, delivery, identity, at)) is not None]


def _blocks(parts: list[Message]) -> Iterator[_Block]:
    reports = [part for part in parts if part.get_content_type() in _REPORTS]
    found = [block for part in reports for fields in _of_recipients(part) if (block := _reported(fields)) is not None]
    yield from (_in_words(block, parts) for block in found) if reports else _untyped(parts)


def _of_recipients(report: Message) -> list[Message]:
    """Return the groups of fields of a report that are about a recipient.

    They are set off from those about the message by a blank line, which some servers leave out; and some encode the
    whole, though it must not be (RFC 3464, section 2.1.2).
    """
    payload = report.get_payload()
    groups = [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []
    encoded = field(report, "Content-Transfer-Encoding").lower() in {"base64", "quoted-printable"}
    if encoded or [len(one.get_all("Final-Recipient", [])) for one in groups[1:]] != [1] * (len(groups) - 1 or 1):
        text = whole(report)
        groups = [email.message_from_string(one.lstrip()) for one in _BEFORE_RECIPIENT.split(text)]
    return [one for one in groups if field(one, "Final-Recipient")]


def _reported(fields: Message) -> _Block | None:
    action = field(fields, "Action").lower()
    if not action:
        return None
    found = _STATUS.search(field(fields, "Status"))
    words = field(fields, "Diagnostic-Code").partition(";")[2].strip() or field(fields, "Status")
    return _Block(_address(field(fields, "Final-Recipient")), action.split()[0], found[0] if found else "", words)


def _in_words(block: _Block, parts: list[Message]) -> _Block:
    """Give a recipient without a diagnostic code the refusal that the text for people has, as OpenSMTPD writes it."""
    if block.action != "failed" or block.words not in {"", block.status}:
        return block
    reason = _told_in(_text_of(parts)).get(block.address.lower(), "")
    return _refused(block.address, reason) if _REPLY_IN_TEXT.search(reason) else block


def _text_of(parts: list[Message]) -> str:
    return next((decoded(part) for part in parts if part.get_content_type() == "text/plain"), "")[:_MAX_TEXT]


def _told_in(text: str) -> dict[str, str]:
    return {match["address"].lower(): match["reason"] for match in _REFUSED_IN_TEXT.finditer(text)}


def _address(given: str) -> str:
    """Return the address of a field such as ``rfc822; ada@lab.example``, its encoding undone (RFC 3461, RFC 6533)."""
    kind, _, address = given.rpartition(";")
    address = address.strip().strip("<>")
    if kind.strip().lower() == "utf-8":
        return _UNITEXT.sub(lambda found: chr(int(found[1], 16)), address)
    return _XTEXT.sub(lambda found: chr(int(found[1], 16)), address) if _XTEXT.search(address) else address


def _untyped(parts: list[Message]) -> Iterator[_Block]:
    """Read bounces that are plain texts: those of qmail, Exim, and of servers that follow no standard."""
    text = _text_of(parts)
    failed = field(parts[0], "X-Failed-Recipients")
    if _QMAIL_GREETING.match(text):
        for match in _QMAIL.finditer(text):
            yield _refused(match["address"], match["reason"])
    elif failed:
        told = _told_in(text)
        for address in failed.split(","):
            yield _refused(address.strip(), told.get(address.strip().lower(), text))
    elif _is_by_a_machine(parts[0]) and _SAYS_THAT_IT_FAILED.search(f"{field(parts[0], 'Subject')}\n{text}"):
        for match in _REFUSED_IN_TEXT.finditer(text):
            if _REPLY_IN_TEXT.search(match["reason"]):
                yield _refused(match["address"], match["reason"])


def _is_by_a_machine(mail: Message) -> bool:
    """Tell a server's mail from a person's, who may quote a refusal (RFC 5321, section 4.5.5; RFC 3834, section 5)."""
    return (
        field(mail, "Return-Path") == "<>"
        or field(mail, "Auto-Submitted").lower() not in {"", "no"}
        or _DAEMON.search(field(mail, "From")) is not None
    )


def _refused(address: str, reason: str) -> _Block:
    words = " ".join(reason.split())
    found = _STATUS.search(words)
    code = _REPLY_IN_TEXT.search(words)
    status = found[0] if found else f"{code[0][0]}.0.0" if code and code[0][0].isdigit() else ""
    return _Block(address, "failed", status, words)


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
