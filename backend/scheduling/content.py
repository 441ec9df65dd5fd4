"""What a scheduled notification asks for, read from the canonical JSON that it was stored with."""

from typing import Any

import msgspec

from backend.batching.keys import Key
from backend.channels.attachments import AttachedFile
from backend.delivery.content import acknowledging
from backend.obligations import links


class Part(msgspec.Struct, frozen=True):
    """One channel of a stored notification, with every default spelled out as intake stores it."""

    type: str
    recipient: list[str]
    content_type: str
    template_id: str
    fields: Any = None
    subject: str | None = None
    attachments: list[AttachedFile] = []
    language: str | None = None

    def key(self, service_id: int, aggregator_id: str, matter: str | None, recipient: str, mode: str) -> Key:
        """Name the batch that this channel joins for one of its recipients."""
        return Key(
            service_id=service_id,
            aggregator_id=aggregator_id,
            type=self.type,
            recipient=recipient,
            template=self.template_id,
            content_type=self.content_type,
            subject=self.subject,
            matter=matter,
            mode=mode,
        )


class Content(msgspec.Struct, frozen=True):
    """What a notification asks for; ``matter`` is what it is about where that is not its aggregator_id."""

    channels: list[Part] = []
    matter: str | None = None


_read = msgspec.json.Decoder(Content).decode
_read_owed = msgspec.json.Decoder(acknowledging.Owed).decode


def read(content: str | None) -> Content:
    """Return what an accepted notification asks for, its channels in their order."""
    return _read(content or "{}")


def seen(content: str | None, part: Part) -> Any:
    """Return the fields of a channel as its template sees them, with an example of the link by which it is answered."""
    owes = _read_owed(content or "{}").until is not None
    return acknowledging.seen(part.fields, links.example()) if owes else part.fields
