"""Explaining what a notification would do, with nothing stored and nothing sent."""

import msgspec

from backend.channels.base import Channel
from backend.db import session as db
from backend.delivery import routes
from backend.intake import content, lookup
from backend.intake.content import Content, Submission
from backend.intake.judge import Plan, PlannedChannel, judge
from backend.lib.problems import FieldError, Problem


class ExplainedRecipient(msgspec.Struct, frozen=True):
    """A recipient group with the addresses that this channel would reach."""

    recipient: str
    addresses: list[str]


class ExplainedChannel(msgspec.Struct, frozen=True, kw_only=True):
    """A channel as its message would look and go."""

    type: str
    template_id: str
    template_version: int
    subject: str | None
    html: str | None
    text: str
    recipients: list[ExplainedRecipient]
    provider: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a notification would do; ``would`` is DISPATCH, BUFFER, DUPLICATE or FAIL."""

    notification_id: str
    would: str
    errors: list[FieldError]
    channels: list[ExplainedChannel]


def explain(submission: Submission) -> Explanation:
    """Judge a submission as if it were sent.

    Raises:
        Problem: when it is no JSON object, so that there is nothing to explain.
    """
    read = content.read(submission)
    with db.current().read() as session:
        known = lookup.accepted(session, [read.uid])
        service = lookup.services(session, {read.service_id})[read.service_id]
        registered = lookup.registered(session, [read])[read.service_id]
    verdict = judge(read, service, registered)
    if isinstance(verdict, Problem):
        errors = list(verdict.errors) or [FieldError("", verdict.code, verdict.detail)]
        return Explanation(notification_id=str(read.uid), would="FAIL", errors=errors, channels=[])
    would = "DUPLICATE" if known else _fresh(read)
    return Explanation(notification_id=str(read.uid), would=would, errors=[], channels=_channels(verdict))


def _fresh(read: Content) -> str:
    buffered = read.notification is not None and read.notification.priority == "BATCH"
    return "BUFFER" if buffered else "DISPATCH"


def _channels(plan: Plan) -> list[ExplainedChannel]:
    return [_channel(planned) for planned in plan.channels]


def _channel(planned: PlannedChannel) -> ExplainedChannel:
    channel = planned.channel
    return ExplainedChannel(
        type=channel.type,
        template_id=channel.template_id,
        template_version=planned.template.number,
        subject=planned.subject,
        html=planned.rendered.html if channel.content_type == "html" else None,
        text=planned.rendered.text,
        recipients=[
            ExplainedRecipient(name, [one.address for one in planned.targets if name in one.recipients])
            for name in dict.fromkeys(channel.recipient)
        ],
        provider=routes.preferred(Channel(channel.type)),
    )
