"""What explaining a notification answers: what it would do, to whom, and how its messages would look."""

from datetime import datetime
from typing import Literal

import msgspec

from backend.channels.attachments import AttachedFile, LinkedFile
from backend.channels.base import Channel
from backend.channels.sms_segments import Segments
from backend.db.models.accounts import Mode
from backend.delivery.content.memories import News
from backend.intake.explained_waits import ExplainedWait
from backend.intake.schema import Until
from backend.lib.problems import FieldError
from backend.rendering.model import TemplateWarning

Would = Literal["DISPATCH", "SCHEDULE", "BUFFER", "DUPLICATE", "FAIL"]


class ExplainedRecipient(msgspec.Struct, frozen=True, omit_defaults=True):
    """A recipient group with the addresses that this channel would reach.

    ``language`` is there where it gets another than the message that stands in the channel itself is in.
    """

    recipient: str
    addresses: list[str]
    language: str | None = None


class ExplainedVariant(msgspec.Struct, frozen=True):
    """The message in another language than the first, as it would look."""

    language: str
    subject: str | None
    html: str | None
    text: str


class ExplainedChannel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A channel as its message would look and go; ``segments`` tells how a text message would be cut into parts.

    ``language`` is that of the message as it is here; where recipients get others, ``variants`` has these.
    ``messages_total`` counts the addresses where there are more than the thousand that the recipients list,
    ``warnings`` say what of the message its readers may not see, ``attachments`` what goes with it, ``linked_files``
    what it links to: by examples of addresses, for the links are made when it is sent. ``sender`` and ``reply_to`` are
    what an e-mail's headers would have.
    """

    type: Channel
    template_id: str
    template_version: int
    language: str
    subject: str | None
    html: str | None
    text: str
    recipients: list[ExplainedRecipient]
    provider: str
    segments: Segments | None = None
    messages_total: int | None = None
    warnings: list[TemplateWarning] = []
    attachments: list[AttachedFile] = []
    linked_files: list[LinkedFile] = []
    variants: list[ExplainedVariant] = []
    sender: str | None = None
    reply_to: str | None = None


class ExplainedBatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """The batch as it would be with this notification in it; of several, the one that closes first.

    ``news`` counts what would be new in it, where its template remembers what was told before.
    """

    aggregator_id: str
    members: int
    closes_at: datetime
    news: News | None = None


class ExplainedRepeat(msgspec.Struct, frozen=True):
    """Of content that is new again after some time: how often it was new before, and when it is new again.

    ``new_again_at`` is null where the notification is new.
    """

    number: int
    new_again_at: datetime | None


class ExplainedStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step to come, ``after`` so long from now; without channels it is the worklist's turn.

    ``waits`` says what windows and mutes would keep from leaving at its moment; neither the next step nor the worklist
    waits for that.
    """

    after: str
    at: datetime
    channels: list[ExplainedChannel]
    waits: list[ExplainedWait] = []


class ExplainedObligation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is done until the goal is reached, if it is sent now; what goes at once stands in ``channels``.

    ``worklist_ticket`` is who gets a ticket at ``worklist_at``, where the service has one made.
    """

    until: Until
    steps: list[ExplainedStep]
    at_last: str
    worklist_at: datetime
    worklist_ticket: ExplainedRecipient | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a notification would do; ``would`` is DISPATCH, SCHEDULE, BUFFER, DUPLICATE or FAIL.

    ``batch`` comes with BUFFER, ``send_at`` with SCHEDULE.

    ``repeat`` comes where all its templates say after how long the same content is new again. ``mode`` is whom it
    reaches; ``redirected_to`` is where all that its client sends goes instead. ``waits`` says what windows and mutes
    would keep from leaving; where that is all of it, it would SCHEDULE.
    """

    notification_id: str
    would: Would
    mode: Mode
    errors: list[FieldError]
    channels: list[ExplainedChannel]
    batch: ExplainedBatch | None = None
    repeat: ExplainedRepeat | None = None
    obligation: ExplainedObligation | None = None
    send_at: datetime | None = None
    redirected_to: str | None = None
    waits: list[ExplainedWait] = []
