"""E-mail over SendGrid: its Mail Send interface of version 3 and its signed event webhook."""

from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from backend.channels import http_outcomes, mime
from backend.channels.attachments import Attachment
from backend.channels.base import (
    Channel,
    ForgedReceipt,
    Message,
    Outcome,
    ProviderError,
    Receipt,
    ReceiptEvent,
    ReceiptKind,
    ReceiptRequest,
)
from backend.channels.http_account import HttpAccount
from backend.channels.mail_diagnosis import BAD_ADDRESS, Fault, diagnose
from backend.channels.mime import message_identifier, thread_fields, unstructured
from backend.channels.provider_address import base_address, host_port, parse, provider_name, required
from backend.lib import clock
from backend.lib.mailboxes import addr_spec, mailbox

_PATH = "/v3/mail/send"
_TOLERANCE = 300  # seconds that a signature's time may differ from ours
_KINDS = {
    "deferred": ReceiptKind.DELAYED,
    "delivered": ReceiptKind.DELIVERED,
    "bounce": ReceiptKind.BOUNCED,
    "dropped": ReceiptKind.FAILED,
    "spamreport": ReceiptKind.COMPLAINED,
}
# Why SendGrid drops a message for its address: it has refused one before, or does not want any.
_BAD_ADDRESS_REASONS = ("bounced address", "invalid", "unsubscribed address", "spam reporting address")


class _Fault(msgspec.Struct):
    message: str | None = None
    field: str | None = None


class _Answer(msgspec.Struct):
    """What SendGrid answers to what it refuses; its acceptance (202) has no body."""

    errors: list[_Fault] = []


class _Event(msgspec.Struct):
    """One event of the webhook; there are more members, and more events, than are of use here."""

    event: str = ""
    email: str | None = None
    timestamp: float | None = None
    sg_event_id: str = ""
    sg_message_id: str = ""
    type: str | None = None
    reason: str | None = None
    response: str | None = None
    status: str | None = None
    delivery_id: str | None = None


class SendGridProvider:
    """An account, given as ``sendgrid://KEY@api.sendgrid.com?webhook_key=MFkw…``.

    ``webhook_key`` is the public key of signed events, as SendGrid shows it (base64). Raises ``ValueError`` without a
    secret.
    """

    channel = Channel.EMAIL
    repeatable: Literal[True] = True  # by its Message-ID

    def __init__(self, address: str, timeout: float = http_outcomes.TIMEOUT) -> None:
        parts = parse(address, {"scheme", "webhook_key"})
        # A key may stand where a password does, as in sendgrid://apikey:KEY@host.
        key = required(parts.password or parts.user, "an API key")
        self._account = HttpAccount(
            base=base_address(parts), authorization=f"Bearer {key}", secrets=(key,), timeout=timeout
        )
        self._public_key = _public_key(parts.options["webhook_key"]) if "webhook_key" in parts.options else None
        self.name = provider_name("sendgrid", host_port(parts.host, parts.port), key)

    def __repr__(self) -> str:
        return f"SendGridProvider({self.name!r})"

    def open(self) -> "SendGridConnection":
        """Return a connection for one thread."""
        return SendGridConnection(self._account)

    def describe(self) -> str:
        """Return one line for operators, without secrets."""
        return f"{self.name}, {'with' if self._public_key else 'without'} signed events"

    def receipts(self, request: ReceiptRequest) -> list[ReceiptEvent]:
        """Verify a call of the event webhook and read its events; raise ``ForgedReceipt``."""
        self._verify(request)
        return [news for raw in _events(request.body) if (news := _news(raw)) is not None]

    def _verify(self, request: ReceiptRequest) -> None:
        """Check the ECDSA signature over the time and the raw body."""
        if self._public_key is None:
            raise ForgedReceipt("the provider's address has no webhook_key to verify it with")
        stamp = request.headers.get("x-twilio-email-event-webhook-timestamp", "")
        signature = request.headers.get("x-twilio-email-event-webhook-signature", "")
        try:
            self._public_key.verify(
                b64decode(signature, validate=True), stamp.encode() + request.body, ec.ECDSA(SHA256())
            )
        except (InvalidSignature, ValueError):
            raise ForgedReceipt("the signature is missing or wrong") from None
        if not stamp.isdecimal() or abs(clock.now().timestamp() - int(stamp[:15])) > _TOLERANCE:
            raise ForgedReceipt("it was signed more than five minutes ago or ahead of our clock")


class SendGridConnection:
    """The way to an account; its connections are those of the thread."""

    def __init__(self, account: HttpAccount) -> None:
        self._account = account

    def send(self, message: Message) -> Receipt:
        """Send one message. Raises ``ProviderError``."""
        try:
            body = msgspec.json.encode(_mail(message))
        except ValueError as fault:
            raise ProviderError(Outcome.PERMANENT, f"the message cannot be sent: {fault}") from None
        answer = self._account.call("POST", _PATH, body)
        if not http_outcomes.is_accepted(answer):
            read = http_outcomes.decoded(answer, _Answer) or _Answer()
            words = "; ".join(" ".join(filter(None, (fault.field, fault.message))) for fault in read.errors[:5])
            raise http_outcomes.refused(answer, words, secrets=self._account.secrets)
        identifier = answer.headers.get("x-message-id", "")[:200] or None
        if identifier is None and answer.status != 202:
            raise http_outcomes.unreadable(answer)
        return Receipt(identifier, f"{answer.status} accepted")

    def close(self) -> None:
        """Do nothing: the connections belong to the thread."""


def _mail(message: Message) -> dict[str, object]:
    """Return the request for one message; raise ``ValueError`` for what is unfit for a mail."""
    subject = message.subject or ""
    unstructured("Subject", subject)
    content = [{"type": "text/plain", "value": message.text}] if message.text else []
    if message.html is not None:
        content.append({"type": "text/html", "value": message.html})
    identity = message_identifier(message.message_id).decode("ascii").removeprefix("Message-ID: ")
    thread = dict(field.decode("ascii").split(": ", 1) for field in thread_fields(message.references))
    mail: dict[str, object] = {
        "personalizations": [
            {
                "to": [{"email": addr_spec(message.address)}],
                # Kept by SendGrid and not treated as personal, so it is our opaque identifier and nothing else.
                "custom_args": {"delivery_id": mime.checked(message.delivery_id)},
            }
        ],
        "from": _person(message.sender),
        "subject": subject,
        "content": content,
        "headers": {
            "Message-ID": identity,
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "OOF, AutoReply",
            **{name: " ".join(value.split()) for name, value in thread.items()},
        },
    }
    if message.attachments:
        mail["attachments"] = [_file(file, shown=message.html is not None) for file in message.attachments]
    if message.reply_to:
        mail["reply_to"] = _person(message.reply_to)
    return mail


def _file(file: Attachment, *, shown: bool) -> dict[str, str]:
    """Describe a file; one that the HTML shows is found by its identifier."""
    described = {
        "content": b64encode(file.content).decode("ascii"),
        "type": file.type,
        "filename": file.name,
        "disposition": "attachment",
    }
    return described | {"disposition": "inline", "content_id": file.name} if file.inline and shown else described


def _person(given: str) -> dict[str, str]:
    name, address = mailbox(given)
    return {"email": address, "name": name} if name else {"email": address}


def _public_key(given: str) -> ec.EllipticCurvePublicKey:
    """Read a key from base64 of its SubjectPublicKeyInfo; raise ``ValueError``."""
    try:
        # In a query a bare plus means a space, and no key has one.
        key = load_der_public_key(b64decode(given.replace(" ", "+"), validate=True))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise ValueError("the option webhook_key is not the verification key of a signed event webhook")


def _events(body: bytes) -> list[msgspec.Raw]:
    """Return the events of a verified body, each still to be read, since one that we cannot read spoils no other."""
    try:
        return msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def _news(raw: msgspec.Raw) -> ReceiptEvent | None:
    """Return what an event tells; None for one that tells nothing of use."""
    try:
        event = msgspec.json.decode(raw, type=_Event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    kind = _KINDS.get(event.event)
    # The identifier of the acceptance is the part before the first dot.
    identifier = event.sg_message_id.partition(".")[0]
    if kind is None or not identifier:
        return None
    return ReceiptEvent(
        provider_message_id=identifier,
        kind=_kind(event, kind),
        event_id=event.sg_event_id or f"{identifier}:{event.event}:{event.email}",
        address=event.email,
        at=_moment(event.timestamp),
        code=event.status or None,
        detail=(event.reason or event.response or event.event)[:500],
        delivery_id=mime.returned(event.delivery_id),
    )


def _kind(event: _Event, kind: ReceiptKind) -> ReceiptKind:
    if event.event == "bounce":
        # Refused for now, for its content, for us: the address may be good.
        fault = diagnose(event.status, event.reason or "")
        spares = event.type == "blocked" or not (fault is Fault.UNKNOWN or fault in BAD_ADDRESS)
        return ReceiptKind.FAILED if spares else ReceiptKind.BOUNCED
    if event.event == "dropped" and (event.reason or "").lower().startswith(_BAD_ADDRESS_REASONS):
        return ReceiptKind.BOUNCED
    return kind


def _moment(timestamp: float | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(timestamp, UTC) if timestamp is not None else None
    except (ValueError, OverflowError, OSError):
        return None
