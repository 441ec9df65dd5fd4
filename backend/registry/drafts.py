"""Drafts: the one unpublished text of each template, which its editors share without losing each other's work."""

from datetime import datetime

import msgspec
from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from backend.db.models.notifications import Delivery
from backend.db.models.registry import Template, TemplateCopy, TemplateDraft, TemplateVersion
from backend.lib import clock
from backend.lib.problems import Problem
from backend.registry import samples, templates
from backend.registry.owned import check_identifier
from backend.registry.pins import Pins
from backend.registry.templates import TemplateContent, TemplateRecord, Templates, Variant

MAX_COPIES = 20


class Key(msgspec.Struct, frozen=True):
    """Which template: of which service, by its identifier."""

    service_id: int
    identifier: str


class Working(msgspec.Struct, frozen=True, kw_only=True):
    """The text that editors of a template work on: its draft, or else the published version.

    ``revision`` counts the draft's saves; 0 says that there is no draft. ``published`` is the number of the
    published version, None before the first and after a deletion; ``based_on`` is the one that the draft was begun
    from. ``updated_by`` is who saved the text last.
    """

    identifier: str
    template_id: int
    revision: int
    content: TemplateContent
    published: int | None
    based_on: int | None
    updated_at: datetime
    updated_by: str


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """A text that left the draft unpublished; ``why`` is ``replaced``, ``unsaved`` or ``discarded``."""

    id: int
    content: TemplateContent
    why: str
    saved_at: datetime
    saved_by: str


class DraftConflict(Problem):
    """Someone else has saved the draft, published it or thrown it away since it was read; ``present`` is the newest."""

    def __init__(self, present: Working) -> None:
        super().__init__("draft_changed", f"{present.updated_by} has changed this template since you opened it.")
        self.present = present


def working(session: Session, key: Key) -> Working:
    """Return the text that a template's editors work on.

    Raises:
        Problem: ``invalid_identifier``, or ``not_found`` for what the service has neither published nor in draft.
    """
    row = _row(session, key)
    return _working(session, row, _draft(session, row))


def create(session: Session, key: Key, content: TemplateContent, author: str) -> Working:
    """Begin a template that is not published yet; its identifier is the service's from now on.

    Raises:
        Problem: ``invalid_identifier``, or ``identifier_taken`` by another service or a template of this one.
    """
    now = clock.now()
    new = Template(
        identifier=check_identifier(key.identifier),
        service_id=key.service_id,
        current_version=0,
        created_at=now,
        updated_at=now,
        deleted_at=now,
    )
    row, _ = Templates(session=session).claim(new)
    if row.deleted_at is None or _draft(session, row) is not None:
        raise Problem("identifier_taken", f"This service has a template {key.identifier} already.")
    draft = _begin(session, row, content, author)
    return _working(session, row, draft)


def save(session: Session, key: Key, content: TemplateContent, revision: int, author: str) -> Working:
    """Save the draft that was read as ``revision``; what is no change counts as saved.

    Raises:
        DraftConflict: if somebody else has saved meanwhile.
    """
    row = _row(session, key, lock=True)
    draft = _draft(session, row)
    present = _working(session, row, draft)
    if _same(present.content, content):
        return present
    if present.revision != revision:
        raise DraftConflict(present)
    return _working(session, row, _write(session, row, draft, content, author))


def save_over(session: Session, key: Key, content: TemplateContent, author: str) -> Working:
    """Save whatever somebody else has saved meanwhile; theirs is kept as a copy."""
    row = _row(session, key, lock=True)
    draft = _draft(session, row)
    if draft is not None and not _same(_content(draft), content):
        _keep(session, draft.template_id, _content(draft), "replaced", draft.updated_by)
    return _working(session, row, _write(session, row, draft, content, author))


def set_aside(session: Session, key: Key, content: TemplateContent, author: str) -> None:
    """Keep a text that its editor gives up for what somebody else has saved."""
    row = _row(session, key, lock=True)
    draft = _draft(session, row)
    if draft is None or not _same(_content(draft), content):
        _keep(session, row.id, content, "unsaved", author)


def discard(session: Session, key: Key, author: str) -> None:
    """Throw the draft away, if there is one; its text is kept as a copy.

    A template that was never published is then gone from the list, and its identifier free for the service again.
    """
    row = _row(session, key, lock=True)
    draft = _draft(session, row)
    if draft is not None:
        _keep(session, row.id, _content(draft), "discarded", author)
        session.delete(draft)
        session.flush()


def content_to_publish(session: Session, key: Key) -> TemplateContent:
    """Return what publishing the draft would publish: its text, with the first of the samples as its sample fields."""
    present = working(session, key)
    return samples.sampled(session, present.template_id, present.content)


def publish(session: Session, key: Key, revision: int, author: str, pins: Pins | None = None) -> TemplateRecord:
    """Publish the draft that was read as ``revision``, with the first of the samples as its sample fields.

    Raises:
        DraftConflict: if somebody else has saved meanwhile.
        Problem: ``not_found`` if there is nothing to publish.
    """
    row = _row(session, key, lock=True)
    draft = _draft(session, row)
    present = _working(session, row, draft)
    if present.revision != revision:
        raise DraftConflict(present)
    if draft is None:
        raise Problem("not_found", f"The template {key.identifier} has no draft that could be published.")
    content = samples.sampled(session, row.id, _content(draft))
    session.delete(draft)
    session.flush()
    record, _ = templates.put(session, key.service_id, key.identifier, content, author, pins=pins)
    return record


def copies(session: Session, key: Key) -> list[Copy]:
    """Return the kept copies of a template's drafts, the newest first."""
    row = _row(session, key)
    found = session.scalars(
        select(TemplateCopy).where(TemplateCopy.template_id == row.id).order_by(TemplateCopy.id.desc())
    )
    return [
        Copy(id=one.id, content=_content(one), why=one.why, saved_at=one.saved_at, saved_by=one.saved_by)
        for one in found
    ]


def in_draft(session: Session, service_id: int) -> list[Working]:
    """Return the drafts of a service in order of identifier."""
    found = session.execute(
        select(Template, TemplateDraft)
        .join(TemplateDraft, TemplateDraft.template_id == Template.id)
        .where(Template.service_id == service_id)
        .order_by(Template.identifier)
    )
    return [_working(session, row, draft) for row, draft in found]


def _row(session: Session, key: Key, *, lock: bool = False) -> Template:
    row = Templates(session=session).get_one_or_none(
        Template.service_id == key.service_id,
        identifier=check_identifier(key.identifier),
        with_for_update=True if lock else None,
    )
    if row is None or (row.deleted_at is not None and _draft(session, row) is None):
        raise Problem("not_found", f"This service has no template {key.identifier}.")
    return row


def _draft(session: Session, row: Template) -> TemplateDraft | None:
    return session.scalars(select(TemplateDraft).where(TemplateDraft.template_id == row.id)).one_or_none()


def _working(session: Session, row: Template, draft: TemplateDraft | None) -> Working:
    published = row.current_version if row.deleted_at is None else None
    if draft is not None:
        return Working(
            identifier=row.identifier,
            template_id=row.id,
            revision=draft.revision,
            content=_content(draft),
            published=published,
            based_on=draft.based_on,
            updated_at=draft.updated_at,
            updated_by=draft.updated_by,
        )
    version = templates.version_row(session, row.id, row.current_version)
    assert version is not None  # noqa: S101 - a template without a draft has been published
    return Working(
        identifier=row.identifier,
        template_id=row.id,
        revision=0,
        content=templates.content_of(version).unsampled(),
        published=published,
        based_on=published,
        updated_at=version.created_at,
        updated_by=version.created_by,
    )


def _begin(session: Session, row: Template, content: TemplateContent, author: str) -> TemplateDraft:
    draft = TemplateDraft(
        template_id=row.id,
        revision=1,
        based_on=row.current_version if row.deleted_at is None else None,
        updated_at=clock.now(),
        updated_by=author,
        **_columns(content),
    )
    session.add(draft)
    session.flush()
    return draft


def _write(
    session: Session, row: Template, draft: TemplateDraft | None, content: TemplateContent, author: str
) -> TemplateDraft:
    if draft is None:
        return _begin(session, row, content, author)
    draft.revision += 1
    draft.updated_at, draft.updated_by = clock.now(), author
    for name, value in _columns(content).items():
        setattr(draft, name, value)
    session.flush()
    return draft


def _keep(session: Session, template_id: int, content: TemplateContent, why: str, author: str) -> None:
    session.add(
        TemplateCopy(template_id=template_id, why=why, saved_at=clock.now(), saved_by=author, **_columns(content))
    )
    session.flush()
    kept = select(TemplateCopy.id).where(TemplateCopy.template_id == template_id)
    old = session.scalars(kept.order_by(TemplateCopy.id.desc()).offset(MAX_COPIES)).all()
    if old:
        session.execute(delete(TemplateCopy).where(TemplateCopy.id.in_(old)))


def _columns(content: TemplateContent) -> dict[str, object]:
    said = msgspec.structs.asdict(content)
    del said["sample_fields"]
    texts = {tag: {"source": one.source, "subject": one.subject} for tag, one in sorted(content.variants.items())}
    return said | {"variants": texts or None}


def _content(row: TemplateDraft | TemplateCopy) -> TemplateContent:
    variants = {tag: Variant(**text) for tag, text in (row.variants or {}).items()}
    return templates.said_by(row, batch=row.batch, language=row.language, variants=variants)


def _same(one: TemplateContent, other: TemplateContent) -> bool:
    return _columns(one) == _columns(other)


# Texts of drafts kept as versions that are not published, so that they can be sent as tests.


def for_a_test(
    session: Session, template_id: int, content: TemplateContent, created_by: str, pins: Pins | None = None
) -> int:
    """Keep a draft's text as a version that is not published, so that it can be sent as a test; return its row's id.

    Its number is below 0. Those of earlier tests go when no delivery needs them any more.
    """
    session.execute(select(Template.id).where(Template.id == template_id).with_for_update())
    own = (TemplateVersion.template_id == template_id) & (TemplateVersion.number < 0)
    chosen = own & TemplateVersion.variant_of.is_(None)
    for one in session.scalars(select(TemplateVersion).where(chosen, TemplateVersion.content_hash == content.digest())):
        if templates.says(one, content, pins):
            return one.id
    used = exists().where(Delivery.template_version_id == TemplateVersion.id)
    session.execute(delete(TemplateVersion).where(chosen, ~used).execution_options(synchronize_session=False))
    number = templates.next_below(session, template_id)
    return templates.add_version(session, template_id, number, content, created_by, pins=pins).id
