"""Holding messages to a recipient to their throttles: what is one too many is refused, or joins a digest.

What is counted is what was accepted. The rows of the services are locked while it is (on PostgreSQL; SQLite has one
writer anyway), so that the number is exact however many processes accept at once; and it is written in the transaction
that stores the notification, so that no crash leaves the one without the other.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from backend.db.models.accounts import Mode
from backend.intake.content import Content
from backend.intake.validate import Plan, Registered, ServiceState
from backend.lib.problems import Problem
from backend.registry import lookup, sending, throttles
from backend.registry.sending import Rules
from backend.registry.throttles import Allowance, Counts, Over

# The aggregator_id of what joins a digest for being one too many, where it has none of its own.
AGGREGATOR = "throttled"


def wanted(content: Content, rules: Rules) -> Counter[Allowance]:
    """Count what a notification would take under each throttle: a message to each recipient in each channel.

    What joins a batch takes nothing: its batch is counted when it leaves.
    """
    notification, counts = content.notification, Counter[Allowance]()
    if notification is None or notification.priority == "BATCH":
        return counts
    high, test = notification.priority == "HIGH", content.manner.mode is Mode.TEST
    for channel in notification.channels:
        for recipient in set(channel.recipient):
            counts += throttles.asked(content.service_id, rules, channel.template_id, recipient, high=high, test=test)
    return counts


def _asked(session: Session, content: Content, service: ServiceState) -> Counter[Allowance] | None:
    """Count what a notification would take under the throttles of its service; None if there are none."""
    if not service.rules:
        return None
    rules = sending.of_service(session, content.service_id, service.rules)
    return wanted(content, rules) if rules.has_throttles else None


def digested(
    session: Session, content: Content, service: ServiceState, registered: Registered, now: datetime
) -> tuple[Content, Registered]:
    """Return what is one too many as what joins a digest instead, where its throttle says so; else as it is."""
    over, notification = _over(session, content, service, now), content.notification
    if over is None or notification is None or not can_be_digested(content, over):
        return content, registered
    name = over.allowance.throttle.digest_template or ""
    found = lookup.templates(session, content.service_id, [name])
    own_subject = name in found and found[name].subject is not None
    changes = {"template_id": name} | ({"subject": None} if own_subject else {})
    channels = [channel.model_copy(update=changes) for channel in notification.channels]
    joins = {"channels": channels, "priority": "BATCH", "aggregator_id": notification.aggregator_id or AGGREGATOR}
    templates = {**registered.templates, **found}
    return (
        msgspec.structs.replace(content, notification=notification.model_copy(update=joins), throttled=over.sentence()),
        msgspec.structs.replace(registered, templates=templates),
    )


def _over(session: Session, content: Content, service: ServiceState, now: datetime) -> Over | None:
    asked = _asked(session, content, service)
    return Counts(session, asked, now).over(asked) if asked else None


def can_be_digested(content: Content, over: Over) -> bool:
    """Tell whether a notification joins a digest: not one that owes something, or has a moment, or other templates."""
    notification, throttle = content.notification, over.allowance.throttle
    if (
        notification is None
        or throttle.then != "digest"
        or content.until is not None
        or notification.moment is not None
    ):
        return False
    subject = over.allowance.subject
    return subject.kind == "service" or {one.template_id for one in notification.channels} == {subject.name}


def refusal(session: Session, content: Content, service: ServiceState, now: datetime) -> Problem | None:
    """Say why a notification would be refused as one too many at this moment."""
    over = _over(session, content, service, now)
    return None if over is None or can_be_digested(content, over) else over.problem(now)


def admit(
    session: Session,
    validated: Sequence[tuple[Content, Plan | Problem]],
    services: Mapping[int, ServiceState],
    now: datetime,
) -> tuple[list[tuple[Content, Plan | Problem]], set[UUID], Counts]:
    """Hold a group to its throttles, in the transaction that locks its services.

    Returns what is stored, with what is refused; those that are to be validated again, since they join a digest; and
    the counts, to be stored with what is new. Where there is no throttle nothing is asked.
    """
    asked: dict[UUID, Counter[Allowance]] = {}
    for content, validation in validated:
        found = _asked(session, content, services[content.service_id]) if isinstance(validation, Plan) else None
        if found:
            asked[content.uid] = found
    if not asked:
        return list(validated), set(), Counts(session, (), now)
    counts = throttles.counts(session, {one for some in asked.values() for one in some}, now)
    kept: list[tuple[Content, Plan | Problem]] = []
    again: set[UUID] = set()
    for content, validation in validated:
        over = counts.over(asked[content.uid]) if content.uid in asked else None
        if over is None:
            counts.add(content.uid, asked.get(content.uid, {}))
            kept.append((content, validation))
        elif can_be_digested(content, over):
            again.add(content.uid)
        else:
            kept.append((content, over.problem(now)))
    return kept, again, counts
