"""Explaining what a notification would do, with nothing stored and nothing sent."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.batching import keys
from backend.batching import waits as batch_waits
from backend.batching.join import expected
from backend.batching.keys import Key
from backend.channels import redirects, simulator
from backend.channels.addresses import masked
from backend.channels.attachments import AttachedFile, LinkedFile
from backend.channels.base import Channel
from backend.channels.sms_segments import segments
from backend.db import database as db
from backend.db.models.accounts import Mode
from backend.db.models.batches import Batch, BatchStatus
from backend.db.models.notifications import OTHER_LANGUAGE, Priority
from backend.delivery.content import acknowledging, addressee, batch_parts, file_links, memories
from backend.delivery.content.link_list import listed
from backend.delivery.content.memories import News
from backend.delivery.providers import routes
from backend.delivery.sending.attached import Choice, Headers, Resolved
from backend.delivery.sending.compose import html_for, text_for
from backend.intake import explained_validation, explained_waits, store, writer
from backend.intake.content import Content
from backend.intake.explained_validation import Asked, Checked
from backend.intake.explained_waits import ExplainedWait
from backend.intake.explanation import (
    ExplainedBatch,
    ExplainedChannel,
    ExplainedObligation,
    ExplainedRecipient,
    ExplainedRepeat,
    ExplainedStep,
    ExplainedVariant,
    Explanation,
    Would,
)
from backend.intake.validate import Plan, PlannedChannel, ServiceState, Spoken
from backend.lib import clock, durations
from backend.lib.problems import FieldError, Problem
from backend.obligations import links as obligation_links
from backend.obligations import worklist_tickets
from backend.publishing import sources
from backend.registry import sending
from backend.registry.lookup import FoundTemplate
from backend.registry.lookup import recipients as registered_recipients
from backend.rendering import reachability
from backend.rendering.clipping import clipped
from backend.rendering.model import Rendered, TemplateWarning

_NOT_VALIDATED = frozenset({"render_share_exceeded", "too_large", "unavailable"})
# One answer lists so many addresses of a channel.
_MOST_ADDRESSES = 1_000


def explain(read: Content, instead: Mapping[str, FoundTemplate] = MappingProxyType({})) -> Explanation:
    """Validate what was submitted as if it were sent; ``instead`` stand for templates that are published otherwise.

    Raises:
        Problem: when it cannot be rendered just now.
    """
    asked = explained_validation.ask(read, instead)
    found = explained_validation.check(asked)
    if isinstance(found.validation, Plan):
        return _accepted(asked, found, _held(found.content, found.validation, asked.service))
    if found.validation.code in _NOT_VALIDATED:
        raise found.validation
    return _refused(found.content, found.validation, known=asked.known)


def _repeat(read: Content) -> ExplainedRepeat | None:
    return ExplainedRepeat(read.occurrence.number, read.occurrence.again_at) if read.occurrence else None


def _refused(read: Content, problem: Problem, *, known: bool) -> Explanation:
    """Say why it would fail; what was accepted once is a duplicate, though its template or recipients have gone."""
    return Explanation(
        notification_id=str(read.uid),
        would="DUPLICATE" if known else "FAIL",
        mode=read.manner.mode,
        errors=[] if known else list(problem.errors) or [FieldError("", problem.code, problem.detail)],
        channels=[],
        repeat=_repeat(read),
    )


def _accepted(asked: Asked, found: Checked, plan: Plan) -> Explanation:
    read, would = found.content, _would(asked, found.content, plan)
    batch, kept = _batch(read, plan) if would == "BUFFER" else (None, [])
    way = _Way(read.until, read.manner.mode, asked.headers)
    return Explanation(
        notification_id=str(read.uid),
        would=would,
        mode=read.manner.mode,
        errors=[],
        channels=_channels(read, plan, way),
        batch=batch,
        repeat=_repeat(read),
        obligation=_obligation(read, plan, way, asked.service),
        send_at=read.moment if would == "SCHEDULE" else None,
        redirected_to=_redirect(read),
        waits=[*explained_waits.of(plan), *explained_waits.of_equal(found.equal), *kept],
    )


def _would(asked: Asked, read: Content, plan: Plan) -> Would:
    if asked.known:
        return "DUPLICATE"
    if read.is_scheduled(clock.now()) or plan.wait is not None:
        return "SCHEDULE"
    return "BUFFER" if read.priority is Priority.BATCH else "DISPATCH"


class _Way(msgspec.Struct, frozen=True):
    """How the channels of a notification would go: until when it is owed, whom it reaches, from whom mails come."""

    until: str | None
    mode: Mode
    headers: Headers


def _held(read: Content, plan: Plan, service: ServiceState) -> Plan:
    """Find what would wait, of what is scheduled when its moment has come."""
    if not service.rules:
        return plan
    now = clock.now()
    moment = read.moment if read.is_scheduled(now) else None
    with db.current().read() as session:
        return writer.held(session, read, plan, service, moment or now)


def _obligation(read: Content, plan: Plan, way: _Way, service: ServiceState) -> ExplainedObligation | None:
    notification, now = read.notification, clock.now()
    owes = notification.obligation if notification else None
    if notification is None or owes is None:
        return None
    begins = read.moment if read.is_scheduled(now) else None
    later, high = iter(plan.later), notification.priority == "HIGH"
    with db.current().read() as session:
        rules = sending.of_service(session, read.service_id, service.rules)
        ticket = _worklist_ticket(session, read.service_id)
    steps = []
    for step in owes.steps:
        at = (begins or now) + durations.delay(step.after)
        channels = [_channel(next(later), [], [], way) for _ in step.channels]
        waits = explained_waits.of_step(rules, step.channels, at, high=high)
        steps.append(ExplainedStep(step.after, at, channels, waits))
    return ExplainedObligation(owes.until, steps, owes.at_last, steps[-1].at, ticket)


def _worklist_ticket(session: Session, service_id: int) -> ExplainedRecipient | None:
    """Say who gets a ticket for what comes to the worklist, if the service has one made."""
    name = worklist_tickets.recipient(session, service_id)
    if name is None:
        return None
    found = registered_recipients(session, service_id, [name]).get(name, ())
    desks = [masked(one.type, one.address) for one in found if one.type == Channel.FRESHSERVICE]
    return ExplainedRecipient(name, desks)


def _redirect(read: Content) -> str | None:
    """Return where all that a client sends goes, as an answer may show it."""
    given = read.manner.redirect
    if given is None:
        return None
    way = redirects.way(Channel.EMAIL, "", given)
    return masked(way.channel, way.address)


def _batch(read: Content, plan: Plan) -> tuple[ExplainedBatch, list[ExplainedWait]]:
    limits = {
        key: (keys.limits(planned.template.batch), read.attached.size(index))
        for index, planned in enumerate(plan.channels)
        for key in store.batch_keys(read, planned.channel)
    }
    with db.current().read() as session:
        found = [(*expected(session, key, limit, size), key) for key, (limit, size) in limits.items()]
        closes_at, members, key = min(found, key=lambda one: one[:2])
        wait = batch_waits.expected(session, key, closes_at)
        batch = ExplainedBatch(
            key.aggregator_id, members, wait.until if wait else closes_at, _news(session, read, plan, key, members)
        )
        index = next(at for at, one in enumerate(plan.channels) if key in store.batch_keys(read, one.channel))
        return batch, [explained_waits.one(index, [key.recipient], wait)] if wait else []


def _news(session: Session, read: Content, plan: Plan, key: Key, members: int) -> News | None:
    """Count what would be new in a batch with this notification in it."""
    index = next(at for at, one in enumerate(plan.channels) if key in store.batch_keys(read, one.channel))
    planned = plan.channels[index]
    if "item_key" not in (planned.template.batch or {}):
        return None
    joined = select(Batch.id).where(Batch.key == key.digest(), Batch.status == BatchStatus.OPEN.value)
    batch_id = session.scalar(joined) if members > 1 else None
    before = batch_parts.read(session, batch_id, examples=True).fields if batch_id is not None else []
    memory = memories.present(
        session,
        addressee.memory(key),
    )
    return memories.news([*before, read.fields(index)], planned.template.batch, memory)


def _channels(read: Content, plan: Plan, way: _Way) -> list[ExplainedChannel]:
    files, linked = read.attached.channels, read.attached.linked
    return [
        _channel(planned, files.get(index, []), linked.get(index, []), way)
        for index, planned in enumerate(plan.channels)
    ]


def _channel(
    planned: PlannedChannel, files: list[AttachedFile], linked: list[LinkedFile], way: _Way
) -> ExplainedChannel:
    channel = planned.channel
    first = Spoken(planned.first, planned.rendered, planned.subject)
    rendered, *others = (_whole(planned, one, linked, way.until) for one in (first, *planned.others))
    choice = Choice(channel.sender, channel.reply_to).or_else(planned.template)
    mail = way.headers.of(choice) if channel.type == Channel.EMAIL else Resolved(None, None)
    return ExplainedChannel(
        type=Channel(channel.type),
        template_id=channel.template_id,
        template_version=planned.template.number,
        language=planned.first.language,
        subject=planned.subject,
        html=_html(planned, rendered),
        text=text_for(channel.type, rendered),
        recipients=_recipients(planned),
        messages_total=len(planned.targets) if len(planned.targets) > _MOST_ADDRESSES else None,
        provider=simulator.NAME if way.mode is Mode.TEST else routes.preferred(Channel(channel.type)),
        segments=segments(rendered.text) if channel.type == Channel.SMS else None,
        warnings=[*_warnings(planned, rendered), *(TemplateWarning(None, "unknown_sender", one) for one in mail.notes)],
        attachments=files,
        linked_files=linked,
        variants=[
            ExplainedVariant(one.template.language, one.subject, _html(planned, made), text_for(channel.type, made))
            for one, made in zip(planned.others, others, strict=True)
        ],
        sender=mail.sender,
        reply_to=mail.reply_to,
    )


def _whole(planned: PlannedChannel, one: Spoken, linked: list[LinkedFile], until: str | None) -> Rendered:
    """Return a message with what Carillon itself adds to it."""
    rendered = listed(one.rendered, file_links.examples(linked))
    if until is None:
        return rendered
    return acknowledging.offered(rendered, planned.channel.type, until, obligation_links.example())


def _html(planned: PlannedChannel, rendered: Rendered) -> str | None:
    return html_for(planned.channel.type, rendered) if planned.channel.content_type == "html" else None


def _warnings(planned: PlannedChannel, rendered: Rendered) -> list[TemplateWarning]:
    """Say who gets another language, what readers may not see, and which links lead nowhere with these fields."""
    found = [TemplateWarning(None, OTHER_LANGUAGE, one.sentence(name)) for name, one in planned.missed]
    for template in (planned.first, *(one.template for one in planned.others)):
        source = sources.source_of_version(template)
        found += reachability.unreachable(source, planned.channel.fields, reachability.policy())
    return [*found, *clipped(rendered)] if planned.channel.content_type == "html" else found


def _recipients(planned: PlannedChannel) -> list[ExplainedRecipient]:
    """List the recipients of a channel with their addresses, of which there are at most a thousand in all."""
    channel, space_left = planned.channel, _MOST_ADDRESSES
    found: dict[str, list[str]] = {name: [] for name in channel.recipient}
    for target in planned.targets:
        space_left -= len(target.recipients)
        if space_left < 0:
            break
        for name in target.recipients:
            found[name].append(masked(channel.type, target.address))
    spoken, first = {name: one.template.language for name, one in planned.choices.items()}, planned.first.language
    return [
        ExplainedRecipient(name, addresses, None if spoken[name] == first else spoken[name])
        for name, addresses in found.items()
    ]
