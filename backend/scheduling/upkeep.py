"""Looking after what is scheduled: what its templates have become is tried when they change, not when it is due.

A row names the template version that it was last tried with, so one that names another than the published one is to
be tried again. What does not render is told to the service at once: as an event, to its client, and to its people.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from backend.callbacks import emit
from backend.channels.records import NEED_SUBJECT
from backend.db import events
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, Priority
from backend.db.models.registry import Template, TemplateVersion
from backend.db.statements import one_of
from backend.delivery.sending.compose import render_job
from backend.lib import clock
from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.registry import lookup
from backend.registry.languages import NUMBER, in_language
from backend.registry.lookup import FoundTemplate
from backend.rendering import acceptance
from backend.rendering.faults import OF_TEMPLATE
from backend.scheduling import content, notices
from backend.scheduling.content import Part
from backend.scheduling.notices import Broken

CHUNK = 100
_SCHEDULED = one_of(Delivery.status, [DeliveryStatus.SCHEDULED])


class Stale(msgspec.Struct, frozen=True):
    """A channel of a scheduled notification whose template is not the version any more that it was tried with."""

    notification_id: int
    channel_index: int | None
    version_id: int
    service_id: int
    priority: int
    template: str
    content: str | None
    language: str


class Tried(msgspec.Struct, frozen=True):
    """What came of trying it: the version that it was tried with now, and why that does not do."""

    stale: Stale
    version_id: int
    fault: str | None


def stale(session: Session) -> list[Stale]:
    """List channels that are to be tried again, what is due first before the others: a look that locks nothing."""
    changed = or_(Template.current_version != NUMBER, Template.deleted_at.is_not(None))
    # Of one that is gone for good there is nothing more to say after the first time.
    untold = or_(Template.deleted_at.is_(None), Delivery.error.is_(None))
    columns = (
        Notification.id,
        Delivery.channel_index,
        Delivery.template_version_id,
        Delivery.service_id,
        Delivery.priority,
        Template.identifier,
        Notification.content,
        TemplateVersion.language,
    )
    first = (
        select(func.min(Delivery.id))
        .join(TemplateVersion, TemplateVersion.id == Delivery.template_version_id)
        .join(Template, Template.id == TemplateVersion.template_id)
        .where(_SCHEDULED, Delivery.waits.is_(None), changed, untold)
        .group_by(Delivery.notification_id, Delivery.channel_index, Delivery.template_version_id)
        .order_by(func.min(Delivery.due_at))
        .limit(CHUNK)
    )
    wanted = (
        select(*columns)
        .join(Notification, Notification.id == Delivery.notification_id)
        .join(TemplateVersion, TemplateVersion.id == Delivery.template_version_id)
        .join(Template, Template.id == TemplateVersion.template_id)
        .where(Delivery.id.in_(first))
        .order_by(Delivery.due_at, Delivery.id)
    )
    return [Stale(*row) for row in session.execute(wanted)]


def published(session: Session, found: Iterable[Stale]) -> dict[tuple[int, str], FoundTemplate]:
    """Return the templates that these are made from as they are published now, by service and identifier."""
    names: dict[int, set[str]] = {}
    for one in found:
        names.setdefault(one.service_id, set()).add(one.template)
    return {
        (service, identifier): template
        for service, some in names.items()
        for identifier, template in lookup.templates(session, service, some).items()
    }


def attempt(one: Stale, template: FoundTemplate | None) -> Tried | None:
    """Render a channel with the template that is published now; None if nobody could do it just now."""
    if template is None:
        return Tried(one, one.version_id, f"The template {one.template} is no longer registered.")
    template = in_language(template, one.language)
    part = content.read(one.content).channels[one.channel_index or 0]
    fields: Any = [part.fields] if one.priority == Priority.BATCH else content.seen(one.content, part)
    job = render_job(
        template,
        fields,
        batch=one.priority == Priority.BATCH,
        subject=part.subject,
        want_html=part.content_type == "html",
    )
    rendered = acceptance.render(job, Share(one.service_id))
    if isinstance(rendered, Problem):
        if rendered.code not in OF_TEMPLATE:
            return None
        return Tried(one, template.version_id, _does_not_render(template, rendered))
    subject = part.subject or rendered.subject
    return Tried(one, template.version_id, None if subject else _lacks_subject(template, part))


def _does_not_render(template: FoundTemplate, problem: Problem) -> str:
    which = f"The template {template.identifier}, version {template.number},"
    return f"{which} does not render with the fields of this notification. {problem.detail}"


def _lacks_subject(template: FoundTemplate, part: Part) -> str | None:
    if part.type not in NEED_SUBJECT:
        return None
    which = f"The template {template.identifier}, version {template.number},"
    return f"{which} has no subject any more, and {part.type} needs one."


def write(session: Session, tried: Sequence[Tried]) -> None:
    """Write down what came of trying, and tell what has broken, or is whole again, in the same transaction."""
    broken: dict[tuple[int, str], Broken] = {}
    told = {(one.stale.service_id, one.version_id) for one in tried if one.fault and _is_known(session, one)}
    at_risk: dict[int, str] = {}
    now = clock.now()
    for one in tried:
        changed = _mark(session, one)
        if not changed:
            continue  # it has been released or cancelled meanwhile
        if one.fault is not None:
            at_risk[one.stale.notification_id] = one.fault
            _tell(session, one, now, "at_risk", f"It could not be sent as things are: {one.fault}")
            if (one.stale.service_id, one.version_id) not in told:
                _gather(broken, one, changed[0][1])
        elif any(error is not None for error, _ in changed):
            _tell(session, one, now, "mended", f"The template {one.stale.template} renders again.")
    emit.at_risk(session, at_risk)
    for found in broken.values():
        notices.tell(session, found)


def _is_known(session: Session, one: Tried) -> bool:
    """Tell whether this version was found broken before, so that the service's people know of it."""
    same = (Delivery.service_id == one.stale.service_id, Delivery.template_version_id == one.version_id)
    return session.scalar(select(exists().where(_SCHEDULED, *same, Delivery.error.is_not(None)))) or False


def _mark(session: Session, one: Tried) -> list[tuple[str | None, datetime]]:
    """Let the channel's messages name the version; return what each said before, and when it is due."""
    mine = and_(
        _SCHEDULED,
        Delivery.notification_id == one.stale.notification_id,
        Delivery.channel_index == one.stale.channel_index,
        Delivery.template_version_id == one.stale.version_id,
    )
    wanted = select(Delivery.id, Delivery.error, Delivery.due_at).where(mine).order_by(Delivery.id)
    rows = session.execute(wanted.with_for_update()).all()
    session.execute(
        update(Delivery)
        .where(Delivery.id.in_([row.id for row in rows]))
        .values(template_version_id=one.version_id, error=one.fault)
        .execution_options(synchronize_session=False)
    )
    return [(row.error, row.due_at) for row in rows]


def _tell(session: Session, one: Tried, now: datetime, kind: str, detail: str) -> None:
    events.write(session, [events.event(kind, detail, notification_id=one.stale.notification_id, at=now)])


def _gather(broken: dict[tuple[int, str], Broken], one: Tried, due_at: datetime) -> None:
    key = (one.stale.service_id, one.stale.template)
    before = broken.get(key)
    if before is None:
        broken[key] = Broken(one.stale.service_id, one.stale.template, one.fault or "", 1, due_at)
    else:
        first = min(before.first_due_at, due_at)
        broken[key] = msgspec.structs.replace(before, notifications=before.notifications + 1, first_due_at=first)
