"""What a template could not make lately, tried with a text that is not published yet: what of it would go now."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db import database as db
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, Notification
from backend.db.models.registry import Template, TemplateVersion
from backend.delivery.outcomes import present
from backend.delivery.outcomes.present import Why
from backend.delivery.outcomes.record import RENDERING
from backend.intake import resubmit
from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.publishing import sources
from backend.registry import template_usage
from backend.registry.languages import NUMBER, in_language
from backend.registry.lookup import FoundTemplate
from backend.registry.template_usage import Payload
from backend.registry.templates import TEMPLATE, TemplateContent
from backend.reports import failing, template_preview
from backend.reports.failing import Failure
from backend.reports.model import Fault
from backend.search.asked import parts_of, templates_of

# Trying stops after this time and so many, so that nobody waits for long.
SECONDS = 4.0
MOST = 100
# What a template has to do with a notification's being refused.
_OF_TEMPLATE = frozenset({"template_arguments", "missing_subject", "unknown_template"})
# A batch whose recipient is gone, say, is no failure of its template.
_OF_BATCH = "The template "
_STAYS = {
    Why.SUPPRESSED: "Its address is suppressed.",
    Why.NO_ADDRESS: "Its recipient has no address to send to.",
    Why.REACHED: "Its recipient has this message by now.",
}


class Retrial(msgspec.Struct, frozen=True, kw_only=True):
    """One failure of a template; ``breaks`` says why it would not go now, without values of fields.

    ``uid`` is that of its notification, or of the batch that did not become a message. ``failures`` are what it
    consists of: one, or one for each member of the batch.
    """

    uid: UUID
    of_batch: bool
    refused: bool
    at: datetime
    failures: list[Failure]
    breaks: str | None


class Retrials(msgspec.Struct, frozen=True):
    """What came of all, the newest first; ``left_out`` of them were not tried for want of time."""

    tried: list[Retrial]
    left_out: int = 0

    @property
    def going(self) -> list[Retrial]:
        """Return those that would go."""
        return [one for one in self.tried if one.breaks is None]

    @property
    def failures(self) -> list[Failure]:
        """Return what those consist of that would go, to be sent again."""
        return [failure for one in self.going for failure in one.failures]


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is tried: a refused notification has no ``payload``; ``stays`` says why it cannot go whatever is made."""

    failures: list[Failure]
    payload: Payload | None = None
    stays: str | None = None


def try_failures(service_id: int, identifier: str, content: TemplateContent, share: Share) -> Retrials:
    """Try what a template could not make within the last seven days with a text that is to be published.

    Raises:
        Problem: ``invalid_template`` for a text that contains itself.
    """
    if content.kind != TEMPLATE:
        return Retrials([])
    with db.current().read() as session:
        cases = _cases(session, service_id, identifier)
        template = sources.unpublished(session, service_id, identifier, content) if cases else None
    if template is None:
        return Retrials([])
    end = time.monotonic() + SECONDS
    tried: list[Retrial] = []
    for case in cases[:MOST]:
        if time.monotonic() > end:
            break
        try:
            tried.append(_tried(service_id, case, template, share))
        except Problem:
            break  # there is no time for it just now
    return Retrials(tried, len(cases) - len(tried))


def _tried(service_id: int, case: _Case, template: FoundTemplate, share: Share) -> Retrial:
    one = case.failures[0]
    breaks = case.stays
    if breaks is None and case.payload is not None:
        spoken = in_language(template, case.payload.language) if case.payload.language else template
        breaks = template_preview.fault(sources.source_of_version(spoken), case.payload, share)
    elif breaks is None:
        breaks = _refusal(service_id, one, template)
    return Retrial(
        uid=one.batch_uid or one.notification,
        of_batch=one.batch_uid is not None,
        refused=one.refused,
        at=one.at,
        failures=case.failures,
        breaks=breaks,
    )


def _refusal(service_id: int, one: Failure, template: FoundTemplate) -> str | None:
    try:
        detail = resubmit.would_refuse(service_id, one.notification, {template.identifier: template})
    except Problem as problem:
        if problem.entry.status >= 500 or problem.code == "render_share_exceeded":
            raise
        return problem.detail
    if detail is None:
        return None
    with db.current().read() as session:
        content = session.scalar(select(Notification.content).where(Notification.uid == one.notification))
    return template_preview.without_values(detail, [part.fields for part in parts_of(content)])


def _cases(session: Session, service_id: int, identifier: str) -> list[_Case]:
    """Find what a template could not make, the newest first."""
    failures = failing.given_up(session, service_id)
    refused = {one.notification_id: one for one in failures if one.refused}
    own = [one for one in failures if one.batch_id is None]
    messages = {one.delivery_id: one for one in own if one.delivery_id is not None}
    members: dict[int, list[Failure]] = {}
    for one in failures:
        if one.batch_id is not None and one.delivery_id is None:
            members.setdefault(one.batch_id, []).append(one)
    found = [
        *(_Case(failures=[refused[row]]) for row in _refused(session, list(refused), identifier)),
        *_of_messages(session, service_id, identifier, messages),
        *_of_batches(session, identifier, members),
    ]
    return sorted(found, key=lambda case: case.failures[0].at, reverse=True)


def _refused(session: Session, rows: Sequence[int], identifier: str) -> Iterator[int]:
    columns = (Notification.id, Notification.content, Notification.problem)
    for row, content, problem in session.execute(select(*columns).where(Notification.id.in_(rows))):
        fault = msgspec.convert(problem, Fault)
        codes = {fault.code, *(error.code for error in fault.errors)}
        if codes & _OF_TEMPLATE and identifier in templates_of(content):
            yield row


def _of_messages(session: Session, service_id: int, identifier: str, messages: dict[int, Failure]) -> Iterator[_Case]:
    wanted = (
        select(Delivery, Notification, TemplateVersion.language)
        .join(Notification, Notification.id == Delivery.notification_id)
        .join(TemplateVersion, TemplateVersion.id == Delivery.template_version_id)
        .join(Template, Template.id == TemplateVersion.template_id)
        .where(Delivery.id.in_(messages), Delivery.provider == RENDERING, Delivery.claimed_by.is_(None))
        .where(Template.identifier == identifier, NUMBER > 0)
    )
    rows = session.execute(wanted).tuples().all()
    plans = present.plans(session, service_id, [delivery for delivery, _, _ in rows])
    for (delivery, notification, language), plan in zip(rows, plans, strict=True):
        yield _Case(
            failures=[messages[delivery.id]],
            payload=template_usage.payload(notification, delivery.channel_index, language),
            stays=_STAYS[plan.why] if plan.why else None,
        )


def _of_batches(session: Session, identifier: str, members: dict[int, list[Failure]]) -> Iterator[_Case]:
    own = (Batch.id.in_(members), Batch.template == identifier, Batch.error.startswith(_OF_BATCH))
    for batch in session.scalars(select(Batch).where(*own)):
        payload = template_usage.batch_payload(session, batch)
        if payload is not None:
            yield _Case(failures=members[batch.id], payload=payload)
