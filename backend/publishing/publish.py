"""Publishing: a template with what it names; a partial for all templates that are made with it, or not at all."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from backend.lib.fair_pool import Share
from backend.lib.problems import FieldError, Problem
from backend.publishing import chosen_senders, sources, variants
from backend.publishing.sources import MailSettings
from backend.registry import lookup, templates
from backend.registry.pins import Pins
from backend.registry.templates import TEMPLATE, TemplateContent, TemplateRecord
from backend.rendering.faults import OF_TEMPLATE
from backend.rendering.memory import with_example
from backend.rendering.model import Rendered, RenderJob, Source, TemplateWarning
from backend.rendering.pool import PREVIEWS

_MOST_NAMED = 10


class User(msgspec.Struct, frozen=True):
    """A template that is made with what is to be published, as it is now and as it would be; so are its variants."""

    record: TemplateRecord
    before: Source
    after: Source
    variants: dict[str, tuple[Source, Source]] = {}


class Plan(msgspec.Struct, frozen=True):
    """What publishing a text would publish: it with its variants, and anew all templates that are made with it."""

    identifier: str
    content: TemplateContent
    source: Source
    pins: Pins
    users: list[User]
    variants: dict[str, Source] = {}


class Change(msgspec.Struct, frozen=True):
    """What becomes of one template: its message of the sample fields before and after, or why there is none.

    ``language`` is that of the variant which the message is of; None for the template's own text.
    """

    identifier: str
    version: int
    before: Rendered | None
    after: Rendered | None
    breaks: str | None
    language: str | None = None


def plan(session: Session, service_id: int, identifier: str, content: TemplateContent) -> Plan:
    """Look up what publishing a text would publish.

    Raises:
        Problem: ``invalid_template`` for partials that contain each other, ``in_use`` for a partial that is to become
            a template while others are made with it.
    """
    resolved = sources.resolve(session, service_id, identifier, content)
    records = templates.made_with(session, service_id, identifier)
    if content.kind == TEMPLATE:
        check_no_layout(session, service_id, identifier)
    if records and content.kind == TEMPLATE:
        raise Problem("in_use", f"{_listed(records)} made with {identifier}, so it stays a partial or layout.")
    return Plan(
        identifier,
        content,
        resolved.source,
        resolved.pins,
        users_of(session, service_id, records, instead={identifier: content}),
        resolved.variants,
    )


def users_of(
    session: Session,
    service_id: int,
    records: Sequence[TemplateRecord],
    *,
    instead: Mapping[str, TemplateContent] | None = None,
    settings: MailSettings | None = None,
) -> list[User]:
    """Return templates as they are, and as they would be with other partials or settings, as ``sources.resolve``."""
    versions = lookup.versions(session, [one.version_id for one in records])
    users = []
    for one in records:
        made = sources.resolve(session, service_id, one.identifier, one.content, instead=instead, settings=settings)
        version = versions[one.version_id]
        others = {
            each.language: (sources.source_of_version(each), made.variants[each.language]) for each in version.variants
        }
        users.append(User(one, sources.source_of_version(version), made.source, others))
    return users


def check(planned: Plan, share: Share) -> list[TemplateWarning]:
    """Check a plan; return what the author should look at.

    Raises:
        Problem: ``invalid_template`` for a text that cannot work, or that breaks a template which is made with it;
            ``render_share_exceeded`` or ``unavailable`` if that cannot be seen just now.
    """
    warnings = variants.warnings(planned.content, planned.source, planned.variants, share)
    check_changes(changes(planned.users, share))
    return warnings


def check_changes(found: Sequence[Change]) -> None:
    """See that nothing breaks.

    Raises:
        Problem: ``invalid_template``, which names what would.
    """
    broken = [one for one in found if one.breaks]
    if broken:
        told = " ".join(f"{one.identifier}: {one.breaks}" for one in broken[:_MOST_NAMED])
        many = f"{len(broken)} template{'s' if len(broken) > 1 else ''}"
        detail = f"It was not published, for it would break {many} made with it. {told}"
        errors = [FieldError("/source", "invalid_template", f"{one.identifier}: {one.breaks}") for one in broken]
        raise Problem("invalid_template", detail, errors=errors)


def changes(users: Sequence[User], share: Share) -> list[Change]:
    """Render every template that changes, with its sample fields, before and after.

    Raises:
        Problem: ``render_share_exceeded`` or ``unavailable`` if one cannot be rendered just now.
    """
    return [change for one in users for change in _changes(one, share)]


def put(
    session: Session, service_id: int, planned: Plan, created_by: str, store: Callable[[], tuple[TemplateRecord, bool]]
) -> tuple[TemplateRecord, bool, list[TemplateRecord]]:
    """Publish a plan in the transaction of ``session``; ``store`` publishes the text itself.

    Returns what ``store`` does, and the templates that were published anew.

    Raises:
        Problem: ``draft_changed`` if one of them, or what they are made with, was published meanwhile;
            ``unknown_sender`` if the text chooses one that its e-mails cannot have.
    """
    chosen_senders.check(session, service_id, planned.content)
    record, created = store()
    users = templates.made_with(session, service_id, planned.identifier)
    if [one.version_id for one in users] != [one.record.version_id for one in planned.users]:
        raise Problem("draft_changed", "A template that is made with this one was published meanwhile; look again.")
    anew = []
    for one in inner_first(users):
        pins = sources.resolve(session, service_id, one.identifier, one.content).pins
        again, _ = templates.put(session, service_id, one.identifier, one.content, created_by, pins=pins)
        if again.version_id != one.version_id:
            anew.append(again)
    return record, created, anew


def inner_first(records: Sequence[TemplateRecord]) -> list[TemplateRecord]:
    """Order templates so that each comes behind what it is made with."""
    return sorted(records, key=lambda one: (one.content.kind == TEMPLATE, len(one.pins.named), one.identifier))


def _changes(user: User, share: Share) -> Iterator[Change]:
    content = user.record.content
    yield _change(user.record, user.before, user.after, content.sample_fields, share)
    spoken = content.spoken()
    for tag, (before, after) in user.variants.items():
        made = _change(user.record, before, after, spoken[tag].sample_fields, share)
        yield msgspec.structs.replace(made, language=tag)


def _change(record: TemplateRecord, then: Source, now: Source, sample: Any, share: Share) -> Change:
    if sample is None:
        return Change(record.identifier, record.version, None, None, _refusal(now, share))
    before, after = _made(then, sample, share), _made(now, sample, share)
    breaks = None
    if isinstance(after, Problem):
        breaks = None if isinstance(before, Problem) and _refusal(now, share) is None else after.detail
    return Change(record.identifier, record.version, _or_none(before), _or_none(after), breaks)


def _refusal(source: Source, share: Share) -> str | None:
    try:
        PREVIEWS.check(source, None, share)
    except Problem as problem:
        if problem.code not in OF_TEMPLATE:
            raise
        return problem.detail
    return None


def _made(source: Source, sample: Any, share: Share) -> Rendered | Problem:
    try:
        return PREVIEWS.render(with_example(RenderJob("", source, sample, isinstance(sample, list))), share)
    except Problem as problem:
        if problem.code not in OF_TEMPLATE:
            raise
        return problem


def _or_none(made: Rendered | Problem) -> Rendered | None:
    return None if isinstance(made, Problem) else made


def check_unused(session: Session, service_id: int, identifier: str) -> None:
    """See that no template is made with a partial that is to be deleted.

    Raises:
        Problem: ``in_use``, which names those that are.
    """
    check_no_layout(session, service_id, identifier)
    records = templates.made_with(session, service_id, identifier)
    if records:
        raise Problem("in_use", f"{_listed(records)} made with {identifier}. Publish them without it first.")


def check_no_layout(session: Session, service_id: int, identifier: str) -> None:
    """See that the service's e-mails do not stand in a layout that is to go.

    Raises:
        Problem: ``in_use``.
    """
    if sources.mail_settings(session, service_id).layout == identifier:
        detail = f"{identifier} is the layout of the service’s Markdown and text e-mails. Choose another one first."
        raise Problem("in_use", detail)


def _listed(records: Sequence[TemplateRecord]) -> str:
    names = [one.identifier for one in records]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{', '.join(names[:_MOST_NAMED])}{more} {'is' if len(names) == 1 else 'are'}"
