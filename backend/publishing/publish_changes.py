"""Validating a change of many templates, and publishing it in one transaction."""

import msgspec
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.lib.fair_pool import Share
from backend.lib.problems import FieldError, Problem
from backend.publishing import change_set, publish, sources, variants
from backend.publishing.change_set import ChangePlan, TemplateStep
from backend.publishing.publish import Change
from backend.registry import provenance, recipients, samples, templates
from backend.registry.templates import TEMPLATE, TemplateContent, TemplateRecord
from backend.rendering.model import RenderJob, TemplateWarning
from backend.rendering.pool import PREVIEWS


class Checked(msgspec.Struct, frozen=True):
    """What the authors should look at, by the template's identifier, and what becomes of other templates' messages."""

    warnings: dict[str, list[TemplateWarning]]
    rendered: list[Change]


def check(planned: ChangePlan, share: Share) -> Checked:
    """Check every template that changes, render all of its samples, and render what else is made with it.

    Raises:
        Problem: ``invalid_template`` with an error for each template and sample that cannot work, or that would
            break; ``render_share_exceeded`` or ``unavailable`` if that cannot be seen just now.
    """
    warnings: dict[str, list[TemplateWarning]] = {}
    faults: list[FieldError] = []
    for step in planned.changed:
        try:
            warnings[step.identifier] = variants.warnings(step.content, step.source, step.variants, share)
        except Problem as problem:
            faults += change_set.of_template(step.index, step.identifier, problem)
            continue
        faults += _faults_of_samples(step, share)
    rendered = publish.changes(planned.users, share)
    faults += [FieldError("", "invalid_template", f"{one.identifier}: {one.breaks}") for one in rendered if one.breaks]
    change_set.refuse(faults)
    return Checked(warnings, rendered)


def _faults_of_samples(step: TemplateStep, share: Share) -> list[FieldError]:
    """Render each sample; a partial is rendered in what includes it."""
    faults: list[FieldError] = []
    for at, sample in enumerate(step.wanted.samples or () if step.content.kind == TEMPLATE else ()):
        fields = samples.read(sample.text)
        try:
            source = step.variants.get(sample.language, step.source)
            PREVIEWS.render(RenderJob("", source, fields, isinstance(fields, list)), share)
        except Problem as problem:
            pointer = f"/samples/{at}/fields"
            found = change_set.of_template(step.index, step.identifier, problem, pointer)
            faults += [FieldError(one.pointer, one.code, f"{one.detail} (Sample {sample.name}.)") for one in found]
    return faults


class _Publication(msgspec.Struct, frozen=True):
    """One template that is published: for the change itself, or anew with another partial."""

    identifier: str
    content: TemplateContent
    parts: int
    own: bool


def put(session: Session, service_id: int, planned: ChangePlan, by: Actor) -> dict[str, TemplateRecord]:
    """Publish a change in the transaction of ``session``; return what was published, by identifier.

    Raises:
        Problem: ``draft_changed`` if a template that it is made of was published since it was looked up.
    """
    fresh = change_set.plan(session, service_id, planned.wanted)
    if fresh.seen != planned.seen:
        raise Problem(
            "draft_changed", "A template of this change was published by somebody else meanwhile; look again."
        )
    done = {one.identifier: _publish(session, service_id, one, fresh, by) for one in _in_order(fresh)}
    for step in fresh.changed:
        row = templates.row_id(session, service_id, step.identifier)
        if step.wanted.samples is not None and row is not None:
            samples.replace(session, row, step.wanted.samples)
    _lock(session, service_id, fresh, by)
    _put_recipients(session, service_id, fresh, by)
    for name in fresh.wanted.gone_templates:
        templates.delete(session, service_id, name)
        audit.record(session, by, "template.deleted", name, service_id=service_id)
    return done


def _in_order(planned: ChangePlan) -> list[_Publication]:
    """Order all publications so that each comes behind the partials that it is made with, which have fewer."""
    own = [_Publication(one.identifier, one.content, len(one.parts), own=True) for one in planned.changed]
    anew = [
        _Publication(one.record.identifier, one.record.content, len(one.after.partials), own=False)
        for one in planned.users
    ]
    return sorted((*own, *anew), key=lambda one: (one.content.kind == TEMPLATE, one.parts, one.identifier))


def _publish(session: Session, service_id: int, one: _Publication, planned: ChangePlan, by: Actor) -> TemplateRecord:
    before = templates.present(session, service_id, one.identifier)
    pins = sources.resolve(session, service_id, one.identifier, one.content).pins
    said = planned.wanted.said if one.own else None
    record, _ = templates.put(session, service_id, one.identifier, one.content, by.name, pins=pins, said=said)
    if before is None or before.version_id != record.version_id:
        detail = {"version": record.version} | ({"commit": said.commit} if said and said.commit else {})
        audit.record(session, by, "template.published", one.identifier, service_id=service_id, detail=detail)
    return record


def _lock(session: Session, service_id: int, planned: ChangePlan, by: Actor) -> None:
    for name, wanted in change_set.relocked(session, service_id, planned).items():
        if wanted:
            provenance.lock(session, service_id, name, by.name, planned.wanted.said.repository)
        else:
            provenance.unlock(session, service_id, name)
        action = "template.locked" if wanted else "template.unlocked"
        audit.record(session, by, action, name, service_id=service_id)


def _put_recipients(session: Session, service_id: int, planned: ChangePlan, by: Actor) -> None:
    for step in planned.recipients:
        if step.change != "same":
            one = step.wanted
            recipients.put(session, service_id, one.identifier, one.name, one.endpoints, one.language)
            action = "recipient.made" if step.change == "new" else "recipient.changed"
            audit.record(session, by, action, one.identifier, service_id=service_id)
    for name in planned.wanted.gone_recipients:
        recipients.delete(session, service_id, name)
        audit.record(session, by, "recipient.deleted", name, service_id=service_id)
