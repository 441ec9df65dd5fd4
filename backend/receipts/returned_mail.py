"""What mail that comes back has in common: which delivery it is about, what it is called and when it was written.

It names our message by the address that it came to, should that carry the delivery's id (``bounces+<id>@…``), or by the
Message-ID of the mail that it returns or answers. Both are the delivery's own.
"""

import hashlib
import re
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime

_UUID = r"([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})"
_MESSAGE_ID = re.compile(rf"<{_UUID}@[^<>\s]{{1,255}}>")
_RETURN_PATH = re.compile(rf"\+{_UUID}@")
_RETURNED_HEADERS = re.compile(rf"^message-id:\s*<{_UUID}@", re.IGNORECASE | re.MULTILINE)
# Of the mail itself: the address that it came to is that which our message was sent from.
_ENVELOPE_FIELDS = ("Delivered-To", "X-Original-To", "Envelope-To", "To")
_RETURNED = {"text/rfc822-headers", "message/global-headers"}
_ANSWERED = ("In-Reply-To", "References")


def delivery_of(mail: Message, parts: list[Message]) -> str | None:
    """Find the delivery's id: in the address, in the headers that came back, in the text, or in what is answered."""
    if found := returned_to(*(field(mail, name) for name in _ENVELOPE_FIELDS)):
        return found
    for part in parts[1:]:
        if match := _MESSAGE_ID.search(field(part, "Message-ID")):
            return match[1]
        if part.get_content_type() in _RETURNED and (match := _RETURNED_HEADERS.search(decoded(part))):
            return match[1]
    text = next((decoded(part) for part in parts if part.get_content_type() == "text/plain"), "")
    if match := _RETURNED_HEADERS.search(text):
        return match[1]
    answered = (_MESSAGE_ID.search(field(mail, name)) for name in _ANSWERED)
    return next((match[1] for match in answered if match), None)


def returned_to(*addresses: str) -> str | None:
    """Return the delivery's id that one of the addresses carries."""
    return next((found[1] for address in addresses if (found := _RETURN_PATH.search(address))), None)


def field(fields: Message, name: str) -> str:
    """Return a field on one line; empty if there is none."""
    return " ".join(str(fields.get(name, "")).split())


def decoded(part: Message) -> str:
    """Return a part's text without its encoding, its lines ended by LF."""
    payload = part.get_payload(decode=True)
    return payload.decode("utf-8", "replace").replace("\r\n", "\n") if isinstance(payload, bytes) else ""


def whole(report: Message) -> str:
    """Return the text of a report of fields: put together what the library took apart, and decode it.

    The library expects no encoding here, since there must be none (RFC 3464, section 2.1.2), but some encode it.
    """
    payload = report.get_payload()
    groups = [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []
    plain = Message()
    plain["Content-Transfer-Encoding"] = field(report, "Content-Transfer-Encoding")
    plain.set_payload("\n\n".join(one.as_string().strip("\n") for one in groups) or payload)
    return decoded(plain)


def identity_of(mail: Message, message: bytes) -> str:
    """Return what is the same whenever this mail comes again."""
    return field(mail, "Message-ID") or hashlib.sha256(message).hexdigest()


def moment_of(mail: Message) -> datetime | None:
    """Return when it was written, in UTC; None if it does not say so."""
    try:
        moment = parsedate_to_datetime(field(mail, "Date"))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
