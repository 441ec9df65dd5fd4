"""What recipients were last used for, and what still waits for them."""

import json
from collections import Counter
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session

from backend.channels.base import Channel
from backend.db import statements
from backend.db.models.batches import Batch, BatchStatus
from backend.db.models.notifications import WAITING, Delivery, DeliveryStatus, Notification, Priority
from backend.db.models.registry import Template, TemplateVersion
from backend.db.models.sending import SendingRule
from backend.lib import clock
from backend.lib.problems import Problem

USED_WITHIN = timedelta(days=30)
# Of so many of a service's newest notifications, so that a busy service's page does not search its whole past.
LOOKED_THROUGH = 2000
_WAITING_BATCHES = (BatchStatus.OPEN, BatchStatus.CLOSED)


class UsedTemplate(msgspec.Struct, frozen=True):
    """A template from which messages to a recipient were made: how many, and when the newest was accepted."""

    identifier: str
    messages: int
    last_at: datetime


class Waiting(msgspec.Struct, frozen=True):
    """What still waits for a recipient: open batches, and messages on their way."""

    batches: int
    messages: int


def templates(session: Session, service_id: int, identifier: str) -> list[UsedTemplate]:
    """Return the templates of a recipient's messages within ``USED_WITHIN``, the latest used first."""
    since = clock.now() - USED_WITHIN
    newest = (
        select(Notification.id, Notification.created_at)
        .where(Notification.service_id == service_id, Notification.created_at >= since)
        .order_by(Notification.created_at.desc(), Notification.id.desc())
        .limit(LOOKED_THROUGH)
        .subquery()
    )
    single = session.execute(
        select(Template.identifier, func.count(), func.max(newest.c.created_at))
        .select_from(newest)
        .join(Delivery, Delivery.notification_id == newest.c.id)
        .join(TemplateVersion, TemplateVersion.id == Delivery.template_version_id)
        .join(Template, Template.id == TemplateVersion.template_id)
        .where(cast(Delivery.recipients, String).contains(json.dumps(identifier), autoescape=True))
        .group_by(Template.identifier)
    )
    gathered = session.execute(
        select(Batch.template, func.count(), func.max(Batch.opened_at))
        .where(Batch.service_id == service_id, Batch.recipient == identifier, Batch.opened_at >= since)
        .group_by(Batch.template)
    )
    counts: Counter[str] = Counter()
    last: dict[str, datetime] = {}
    for name, count, at in [*single, *gathered]:
        counts[name] += count
        last[name] = max(at, last.get(name, at))
    found = [UsedTemplate(name, count, last[name]) for name, count in counts.items()]
    return sorted(found, key=lambda one: one.last_at, reverse=True)


def waiting(session: Session, service_id: int, identifier: str) -> Waiting:
    """Count what still waits for the service's recipient."""
    batches = select(func.count()).where(
        statements.one_of(Batch.status, _WAITING_BATCHES), Batch.service_id == service_id, Batch.recipient == identifier
    )
    messages = select(func.count()).where(
        statements.one_of(Delivery.status, WAITING),
        # Every channel and priority, by which the index of what is due begins: the service's own rows alone are read.
        Delivery.type.in_([channel.value for channel in Channel]),
        Delivery.priority.in_([priority.value for priority in Priority]),
        Delivery.service_id == service_id,
        cast(Delivery.recipients, String).contains(json.dumps(identifier), autoescape=True),
    )
    return Waiting(session.scalar(batches) or 0, session.scalar(messages) or 0)


def check_unused(session: Session, service_id: int, identifier: str) -> None:
    """See that nothing waits for a recipient, and that it gets no tickets: without it, that could not be sent.

    Raises:
        Problem: ``in_use``, with what waits.
    """
    batches = waiting(session, service_id, identifier).batches
    if batches:
        many = "1 open batch waits" if batches == 1 else f"{batches} open batches wait"
        raise Problem("in_use", f"{many} for this recipient. Send or empty {'it' if batches == 1 else 'them'} first.")
    own = (SendingRule.service_id == service_id, SendingRule.worklist_ticket == identifier)
    if session.scalar(select(SendingRule.id).where(*own)) is not None:
        raise Problem("in_use", "It gets the tickets for what comes to the worklist. Name another one, or none, first.")
    check_unscheduled(session, service_id, identifier)


def check_unscheduled(session: Session, service_id: int, identifier: str) -> None:
    """See that nothing is scheduled to be sent to a recipient: it could not be by then.

    Raises:
        Problem: ``in_use``, with how much there is.
    """
    scheduled = session.scalar(
        select(func.count()).where(
            statements.one_of(Delivery.status, [DeliveryStatus.SCHEDULED]),
            Delivery.service_id == service_id,
            cast(Delivery.recipients, String).contains(json.dumps(identifier), autoescape=True),
        )
    )
    if scheduled:
        many = "1 scheduled message waits" if scheduled == 1 else f"{scheduled} scheduled messages wait"
        raise Problem("in_use", f"{many} to be sent to this recipient. Cancel or await them first.")
