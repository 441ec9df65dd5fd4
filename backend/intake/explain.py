"""Explaining what a notification would do, with nothing stored and nothing sent."""

import time
from datetime import datetime
from typing import Literal

import msgspec

from backend.batching import keys
from backend.batching.hold import expected
from backend.channels.addresses import masked
from backend.channels.attachments import AttachedFile
from backend.channels.base import Channel
from backend.channels.sms_segments import Segments, segments
from backend.db import session as db
from backend.db.models.notifications import Priority
from backend.delivery import routes
from backend.delivery.compose import html_for
from backend.intake import content, lookup, repeats, scanning, store, switches
from backend.intake.content import Content, Submission
from backend.intake.joined import Joins, refusal
from backend.intake.judge import Plan, PlannedChannel, judge
from backend.lib.fair import Share
from backend.lib.problems import FieldError, Problem
from backend.rendering.acceptance import Allowance
from backend.rendering.clipping import clipped
from backend.rendering.model import Rendered, RenderJob, TemplateWarning
from backend.rendering.pool import PREVIEWS

_NOT_JUDGED = frozenset({"render_share_exceeded", "too_large", "unavailable"})
# One answer lists so many addresses of a channel, renders for so long, and has so many characters of messages.
_MOST_ADDRESSES = 1_000
_SECONDS = 8.0
_MOST_CHARACTERS = 16_000_000


Would = Literal["DISPATCH", "BUFFER", "DUPLICATE", "FAIL"]


class ExplainedRecipient(msgspec.Struct, frozen=True):
    """A recipient group with the addresses that this channel would reach."""

    recipient: str
    addresses: list[str]


class ExplainedChannel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A channel as its message would look and go; ``segments`` tells how a text message would be cut into parts.

    ``messages_total`` counts the addresses where there are more than the thousand that the recipients list,
    ``warnings`` say what of the message its readers may not see, ``attachments`` what goes with it.
    """

    type: Channel
    template_id: str
    template_version: int
    subject: str | None
    html: str | None
    text: str
    recipients: list[ExplainedRecipient]
    provider: str
    segments: Segments | None = None
    messages_total: int | None = None
    warnings: list[TemplateWarning] = []
    attachments: list[AttachedFile] = []


class ExplainedBatch(msgspec.Struct, frozen=True):
    """The batch as it would be with this notification in it; of several, the one that closes first."""

    aggregator_id: str
    members: int
    closes_at: datetime


class ExplainedRepeat(msgspec.Struct, frozen=True):
    """Of content that is new again after some time: how often it was new before, and when it is new again.

    ``new_again_at`` is null where the notification is new.
    """

    number: int
    new_again_at: datetime | None


class Explanation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a notification would do; ``would`` is DISPATCH, BUFFER, DUPLICATE or FAIL; ``batch`` comes with BUFFER.

    ``repeat`` comes where all its templates say after how long the same content is new again.
    """

    notification_id: str
    would: Would
    errors: list[FieldError]
    channels: list[ExplainedChannel]
    batch: ExplainedBatch | None = None
    repeat: ExplainedRepeat | None = None


def explain(submission: Submission) -> Explanation:
    """Judge a submission as if it were sent.

    Raises:
        Problem: when it is no JSON object, so that there is nothing to explain, or cannot be rendered just now.
    """
    read = scanning.scanned(content.read(submission))
    with db.current().look() as session:
        asked = lookup.ask(session, {read.uid: read})
        known, service = asked.accepted(), asked.services()[read.service_id]
        named = asked.registered()
        (present,) = repeats.at_present(session, [read], named)
        if present.uid != read.uid:
            known = lookup.accepted(session, [present.uid])
    read, registered = present, named[read.service_id]
    closed = switches.stopped(read.notification) if read.notification else None
    renderer = _Renderer(read.service_id)
    verdict = closed or judge(read, service, registered, render=renderer.render, whole=True)
    buffered = store.priority(read) is Priority.BATCH
    if isinstance(verdict, Plan) and buffered and not known:
        verdict = _joined(read, verdict, renderer)
    if isinstance(verdict, Problem) and verdict.code in _NOT_JUDGED:
        raise verdict
    again = read.occurrence
    repeat = ExplainedRepeat(again.number, again.again_at) if again else None
    if isinstance(verdict, Problem):
        # What was accepted once is a duplicate, though its template or recipients have gone since.
        errors = [] if known else list(verdict.errors) or [FieldError("", verdict.code, verdict.detail)]
        would: Would = "DUPLICATE" if known else "FAIL"
        return Explanation(notification_id=str(read.uid), would=would, errors=errors, channels=[], repeat=repeat)
    would = "DUPLICATE" if known else "BUFFER" if buffered else "DISPATCH"
    batch = _batch(read, verdict) if would == "BUFFER" else None
    return Explanation(
        notification_id=str(read.uid),
        would=would,
        errors=[],
        channels=_channels(read, verdict),
        batch=batch,
        repeat=repeat,
    )


def _joined(read: Content, plan: Plan, renderer: "_Renderer") -> Plan | Problem:
    """Render the batches that a notification would join with it, as it is done when it is sent."""
    with db.current().read() as session:
        joints = list(Joins(session, Allowance()).joints(read, plan))
    for index, joint in joints:
        job = joint.load()
        if isinstance(job, Problem):
            return job
        try:
            renderer.render(index, job)
        except Problem as problem:
            return refusal(index, plan.channels[index], problem)
    return plan


def _batch(read: Content, plan: Plan) -> ExplainedBatch:
    limits = {
        key: (keys.limits(planned.template.batch), read.attached.size(index))
        for index, planned in enumerate(plan.channels)
        for key in store.batch_keys(read, planned.channel)
    }
    with db.current().read() as session:
        found = [expected(session, key, limit, size) for key, (limit, size) in limits.items()]
    closes_at, members = min(found)
    return ExplainedBatch(next(iter(limits)).aggregator_id, members, closes_at)


def _channels(read: Content, plan: Plan) -> list[ExplainedChannel]:
    files = read.attached.channels
    return [_channel(planned, files.get(index, [])) for index, planned in enumerate(plan.channels)]


def _channel(planned: PlannedChannel, files: list[AttachedFile]) -> ExplainedChannel:
    channel = planned.channel
    return ExplainedChannel(
        type=Channel(channel.type),
        template_id=channel.template_id,
        template_version=planned.template.number,
        subject=planned.subject,
        html=html_for(channel.type, planned.rendered) if channel.content_type == "html" else None,
        text=planned.rendered.text,
        recipients=_recipients(planned),
        messages_total=len(planned.targets) if len(planned.targets) > _MOST_ADDRESSES else None,
        provider=routes.preferred(Channel(channel.type)),
        segments=segments(planned.rendered.text) if channel.type == Channel.SMS else None,
        warnings=clipped(planned.rendered) if channel.content_type == "html" else [],
        attachments=files,
    )


def _recipients(planned: PlannedChannel) -> list[ExplainedRecipient]:
    """List the recipients of a channel with their addresses, of which there are at most a thousand in all."""
    channel, room = planned.channel, _MOST_ADDRESSES
    found: dict[str, list[str]] = {name: [] for name in channel.recipient}
    for target in planned.targets:
        room -= len(target.recipients)
        if room < 0:
            break
        for name in target.recipients:
            found[name].append(masked(channel.type, target.address))
    return [ExplainedRecipient(name, addresses) for name, addresses in found.items()]


class _Renderer:
    """Renders the channels of one notification within the time, and the size, that one answer may take."""

    def __init__(self, service_id: int) -> None:
        self._share = Share(service_id)
        self._end = time.monotonic() + _SECONDS
        self._room = _MOST_CHARACTERS

    def render(self, index: int, job: RenderJob) -> Rendered:
        """Render one channel; raises Problem if there is no time or room left for it."""
        if time.monotonic() > self._end:
            detail = f"The {index} channels before this one took more than {_SECONDS:.0f} seconds to render."
            raise Problem("render_share_exceeded", f"{detail} Explain fewer at once.", headers={"Retry-After": "1"})
        rendered = PREVIEWS.render(job, self._share)
        self._room -= len(rendered.html or "") + len(rendered.text)
        if self._room < 0:
            detail = f"The messages have more than {_MOST_CHARACTERS:,} characters together. Explain fewer at once."
            raise Problem("too_large", detail)
        return rendered
