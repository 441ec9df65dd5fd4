"""What Amazon SES tells of its messages, as event publishing or as notifications, inside a message of SNS."""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from backend.channels import mime
from backend.channels.base import ReceiptEvent, ReceiptKind
from backend.channels.mail_diagnosis import BAD_ADDRESS, Fault, diagnose
from backend.channels.quoting import quoted

_KINDS = {
    "Send": ReceiptKind.SENT,
    "Delivery": ReceiptKind.DELIVERED,
    "DeliveryDelay": ReceiptKind.DELAYED,
    "Bounce": ReceiptKind.FAILED,
    "Complaint": ReceiptKind.COMPLAINED,
    "Reject": ReceiptKind.FAILED,
    "Rendering Failure": ReceiptKind.FAILED,
}


class _Person(msgspec.Struct, rename="camel"):
    email_address: str | None = None
    status: str | None = None
    diagnostic_code: str | None = None


class _Mail(msgspec.Struct, rename="camel"):
    message_id: str = ""
    destination: list[str] = []
    tags: dict[str, list[str]] = {}


class _About(msgspec.Struct, rename="camel"):
    """What is told of a delivery, bounce, complaint, delay or refusal; each has some of these."""

    timestamp: str | None = None
    bounce_type: str | None = None
    bounce_sub_type: str | None = None
    bounced_recipients: list[_Person] = []
    complained_recipients: list[_Person] = []
    delayed_recipients: list[_Person] = []
    recipients: list[str] = []
    complaint_feedback_type: str | None = None
    delay_type: str | None = None
    smtp_response: str | None = None
    reason: str | None = None
    error_message: str | None = None

    @property
    def people(self) -> list[_Person]:
        """Whom it is about."""
        told = [*self.bounced_recipients, *self.complained_recipients, *self.delayed_recipients]
        return told or [_Person(email_address=address) for address in self.recipients]

    @property
    def words(self) -> str:
        """What it says for readers."""
        kind = "/".join(filter(None, (self.bounce_type, self.bounce_sub_type)))
        more = (self.complaint_feedback_type, self.delay_type, self.smtp_response, self.reason, self.error_message)
        return " ".join(filter(None, (kind, *more)))


class _Told(msgspec.Struct, rename="camel"):
    event_type: str | None = None
    notification_type: str | None = None
    mail: _Mail = msgspec.field(default_factory=_Mail)
    delivery: _About | None = None
    bounce: _About | None = None
    complaint: _About | None = None
    delivery_delay: _About | None = None
    reject: _About | None = None
    failure: _About | None = None


def read(event_id: str, text: str) -> list[ReceiptEvent]:
    """Return the news of a verified notification, one piece for each recipient; ``event_id`` is that of SNS.

    What is no news of a delivery (opens, clicks, the notice that all is set up) gives none.
    """
    try:
        told = msgspec.json.decode(text, type=_Told)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    kind = _KINDS.get(told.event_type or told.notification_type or "")
    if kind is None or not told.mail.message_id:
        return []
    return list(_news(event_id, told, kind))


def _news(event_id: str, told: _Told, kind: ReceiptKind) -> Iterator[ReceiptEvent]:
    about = told.delivery or told.bounce or told.complaint or told.delivery_delay or told.reject or told.failure
    about = about or _About()
    carried = told.mail.tags.get("delivery_id", [])
    everybody = [_Person(email_address=address) for address in told.mail.destination]
    for position, person in enumerate(about.people or everybody or [_Person()]):
        words = " ".join(filter(None, (about.words, person.diagnostic_code)))
        yield ReceiptEvent(
            provider_message_id=told.mail.message_id,
            kind=_of_bounce(about, person) if kind is ReceiptKind.FAILED and about is told.bounce else kind,
            event_id=f"{event_id}:{position}",
            address=person.email_address,
            at=_moment(about.timestamp),
            code=person.status or about.bounce_sub_type,
            detail=quoted(words or (told.event_type or told.notification_type or "")),
            delivery_id=mime.returned(carried[0] if carried else None),
        )


def _of_bounce(about: _About, person: _Person) -> ReceiptKind:
    """Tell a bad address from what Amazon calls permanent too, such as a policy of the day or a full mailbox."""
    fault = diagnose(person.status, person.diagnostic_code or "")
    permanent = about.bounce_type == "Permanent" and (fault is Fault.UNKNOWN or fault in BAD_ADDRESS)
    return ReceiptKind.BOUNCED if permanent else ReceiptKind.FAILED


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
