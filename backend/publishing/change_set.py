"""Many templates and recipients changed at once, as a repository of templates sends them: looked up for validation."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec
from sqlalchemy.orm import Session

from backend.db.models.registry import Recipient, Template
from backend.lib import pointers, settings, strict_json
from backend.lib.problems import FieldError, Problem
from backend.publishing import chosen_senders, publish, sources
from backend.publishing.publish import User
from backend.registry import owned, provenance, recipients, samples, template_usage, templates
from backend.registry.lookup import Address
from backend.registry.provenance import Provenance
from backend.registry.samples import Sample
from backend.registry.templates import TEMPLATE, TemplateContent, TemplateRecord
from backend.rendering.faults import OF_TEMPLATE
from backend.rendering.model import Source

ChangeKind = Literal["new", "changed", "same"]


class WantedTemplate(msgspec.Struct, frozen=True):
    """A template as it is to be; samples or a lock of None stay as they are."""

    identifier: str
    content: TemplateContent
    samples: tuple[Sample, ...] | None = None
    locked: bool | None = None


class WantedRecipient(msgspec.Struct, frozen=True):
    """A recipient as it is to be."""

    identifier: str
    name: str
    endpoints: tuple[Address, ...]
    language: str | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be stored, what is to be deleted by its identifier, and what is said of it."""

    templates: Sequence[WantedTemplate]
    recipients: Sequence[WantedRecipient]
    gone_templates: Sequence[str]
    gone_recipients: Sequence[str]
    said: Provenance


class TemplateStep(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one template; ``index`` is its place among those that are wanted."""

    index: int
    wanted: WantedTemplate
    change: ChangeKind
    present: TemplateRecord | None
    source: Source
    variants: dict[str, Source] = {}

    @property
    def parts(self) -> set[str]:
        """Return the identifiers of the partials and layouts that it names, also in its variants."""
        return {part.name for one in (self.source, *self.variants.values()) for part in one.partials}

    @property
    def identifier(self) -> str:
        """Return its identifier."""
        return self.wanted.identifier

    @property
    def content(self) -> TemplateContent:
        """Return what it is to say."""
        return self.wanted.content


class RecipientStep(msgspec.Struct, frozen=True):
    """What becomes of one recipient, with its addresses in canonical form."""

    wanted: WantedRecipient
    change: ChangeKind


class ChangePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a change would do; ``users`` are templates that it publishes anew because of their partials.

    ``seen`` are the published versions that it was made of, by which it is known whether it still holds.
    """

    wanted: Wanted
    templates: list[TemplateStep]
    recipients: list[RecipientStep]
    users: list[User]
    seen: dict[str, int | None]

    @property
    def changed(self) -> list[TemplateStep]:
        """Return the templates that differ from what is published."""
        return [one for one in self.templates if one.change != "same"]


def plan(session: Session, service_id: int, wanted: Wanted) -> ChangePlan:
    """Look up what a change would do.

    Raises:
        Problem: ``invalid_template`` with an error for each template that contains itself, ``in_use`` for what is to
            go while something needs it, ``identifier_taken``, ``invalid_address`` or ``invalid_request``.
    """
    _check_once(wanted)
    wanted = _completed(session, service_id, wanted)
    present = {one.identifier: _present(session, service_id, one.identifier) for one in wanted.templates}
    changes = {one.identifier: _change(session, service_id, one, present[one.identifier]) for one in wanted.templates}
    instead = {
        one.identifier: one.content
        for one in wanted.templates
        if changes[one.identifier] != "same" and one.content.kind != TEMPLATE
    }
    faults: list[FieldError] = []
    steps: list[TemplateStep] = []
    for index, one in enumerate(wanted.templates):
        try:
            found = sources.resolve(session, service_id, one.identifier, one.content, instead=instead)
        except Problem as problem:
            faults += of_template(index, one.identifier, problem)
            continue
        change, record = changes[one.identifier], present[one.identifier]
        if change != "same":
            faults += _of_senders(session, service_id, index, one)
        made = TemplateStep(index=index, wanted=one, change=change, present=record, source=found.source)
        steps.append(msgspec.structs.replace(made, variants=found.variants))
    refuse(faults)
    _check_leaving(session, service_id, wanted, steps)
    changed = {one.identifier for one in steps if one.change != "same"}
    records = [one for one in _made_with(session, service_id, instead) if one.identifier not in changed]
    staying = [one for one in records if one.identifier not in wanted.gone_templates]
    users = publish.users_of(session, service_id, staying, instead=instead)
    seen = {one.identifier: one.present.version_id if one.present else None for one in steps}
    return ChangePlan(
        wanted=wanted,
        templates=steps,
        recipients=[_recipient(session, service_id, at, one) for at, one in enumerate(wanted.recipients)],
        users=users,
        seen=seen | {one.record.identifier: one.record.version_id for one in users},
    )


def of_template(index: int, identifier: str, problem: Problem, pointer: str = "") -> Iterator[FieldError]:
    """Say of which template a fault is, by its place in the change; ``pointer`` is where in it, if that is known.

    Raises:
        Problem: the one that is given, if it is no template's fault.
    """
    if problem.code not in OF_TEMPLATE:
        raise problem
    for error in problem.errors or [FieldError("/source", problem.code, problem.detail)]:
        yield FieldError(f"/templates/{index}{pointer or error.pointer}", error.code, f"{identifier}: {error.detail}")


def _of_senders(session: Session, service_id: int, index: int, wanted: WantedTemplate) -> Iterator[FieldError]:
    for error in chosen_senders.faults(session, service_id, wanted.content):
        yield FieldError(f"/templates/{index}{error.pointer}", error.code, f"{wanted.identifier}: {error.detail}")


def refuse(faults: Sequence[FieldError]) -> None:
    """Refuse a change with faults in its templates.

    Raises:
        Problem: ``invalid_template``, if there are any.
    """
    if faults:
        more = f" There are {len(faults) - 1} more faults." if len(faults) > 1 else ""
        detail = f"Nothing was published. {faults[0].detail}{more}"
        raise Problem("invalid_template", detail, errors=list(faults)[: strict_json.MAX_ERRORS])


def _check_once(wanted: Wanted) -> None:
    """See that everything is named once."""
    for kind, stored, gone in (
        ("templates", [one.identifier for one in wanted.templates], wanted.gone_templates),
        ("recipients", [one.identifier for one in wanted.recipients], wanted.gone_recipients),
    ):
        known: set[str] = set()
        named = [(f"/{kind}/{at}/identifier", one) for at, one in enumerate(stored)]
        for pointer, name in (*named, *((f"/delete/{kind}/{at}", one) for at, one in enumerate(gone))):
            if name in known:
                raise strict_json.invalid([FieldError(pointer, "invalid_value", f"{name} is named twice.")])
            known.add(name)


def _completed(session: Session, service_id: int, wanted: Wanted) -> Wanted:
    """Return what is wanted with the languages that are to be stored."""
    language = sources.mail_settings(session, service_id).language
    return msgspec.structs.replace(
        wanted,
        templates=[
            msgspec.structs.replace(one, content=templates.completed(one.content, language)) for one in wanted.templates
        ],
    )


def _present(session: Session, service_id: int, identifier: str) -> TemplateRecord | None:
    owned.check_free(session, Template, service_id, identifier)
    return templates.present(session, service_id, identifier)


def _change(session: Session, service_id: int, wanted: WantedTemplate, present: TemplateRecord | None) -> ChangeKind:
    if present is None:
        return "new"
    if wanted.samples is None:
        return "same" if wanted.content == present.content else "changed"
    # The samples are compared, of which the first are the sample fields when they publish.
    same_text = wanted.content.unsampled() == present.content.unsampled()
    row = templates.row_id(session, service_id, wanted.identifier)
    stored = samples.of_all(session, row) if row is not None else []
    return "same" if same_text and samples.same(stored, wanted.samples) else "changed"


def _made_with(session: Session, service_id: int, names: Iterable[str]) -> list[TemplateRecord]:
    """Return what is made with any of several partials, each once, in order of identifier."""
    found = {one.identifier: one for name in names for one in templates.made_with(session, service_id, name)}
    return [found[name] for name in sorted(found)]


def _check_leaving(session: Session, service_id: int, wanted: Wanted, steps: Sequence[TemplateStep]) -> None:
    """See that nothing needs what is to be deleted, nor a partial that is to become a template."""
    for name in wanted.gone_templates:
        templates.get(session, service_id, name)
        template_usage.check_unused(session, service_id, name)
    turned = [
        one.identifier
        for one in steps
        if one.content.kind == TEMPLATE and one.present is not None and one.present.content.kind != TEMPLATE
    ]
    changed = {one.identifier: one for one in steps if one.change != "same"}
    for name in (*wanted.gone_templates, *turned):
        publish.check_no_layout(session, service_id, name)
        users = {one.identifier for one in templates.made_with(session, service_id, name)}
        left = users - changed.keys() - set(wanted.gone_templates)
        left |= {one.identifier for one in changed.values() if name in one.parts}
        if left:
            raise Problem("in_use", f"{name} stays a partial or layout: {', '.join(sorted(left))} need it.")


def _recipient(session: Session, service_id: int, index: int, wanted: WantedRecipient) -> RecipientStep:
    owned.check_free(session, Recipient, service_id, wanted.identifier)
    meant = recipients.unmasked(session, service_id, wanted.identifier, wanted.endpoints)
    try:
        endpoints = tuple(recipients.canonical_endpoints(meant, settings.current().outbound_allow))
    except Problem as problem:
        errors = [FieldError(f"/recipients/{index}{one.pointer}", one.code, one.detail) for one in problem.errors]
        told = f"{wanted.identifier}: {pointers.sentence(problem.errors[0])}." if problem.errors else problem.detail
        raise Problem(problem.code, told, errors=errors) from None
    one = msgspec.structs.replace(wanted, endpoints=endpoints)
    record = recipients.present(session, service_id, wanted.identifier)
    if record is None:
        return RecipientStep(one, "new")
    same = (record.name, record.language, record.endpoints) == (one.name, one.language, one.endpoints)
    return RecipientStep(one, "same" if same else "changed")


def relocked(session: Session, service_id: int, planned: ChangePlan) -> dict[str, bool]:
    """Return the templates whose lock the change sets (true) or takes away (false)."""
    locks = provenance.locks(session, service_id, [one.identifier for one in planned.templates])
    return {
        one.identifier: one.wanted.locked
        for one in planned.templates
        if one.wanted.locked is not None and one.wanted.locked != (one.identifier in locks)
    }
