"""Where a template's published text comes from, a repository or a person; and who may change it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.registry import Template, TemplateVersion
from backend.lib import clock
from backend.lib.problems import Problem

_LONGEST_AUTHOR = 160


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a publication: its author's note, and, where it is ``by_code``, the commit and the repository."""

    note: str | None = None
    by_code: bool = False
    commit: str | None = None
    repository: str | None = None


class Lock(msgspec.Struct, frozen=True):
    """A lock against changes in the portal: since when, set by which client, for which repository if that was said."""

    at: datetime
    by: str
    repository: str | None


class Edit(msgspec.Struct, frozen=True):
    """The published version that is not the repository's any more: its number, its author and its moment."""

    version: int
    by: str
    at: datetime


class CodeStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How a template stands to the repository that it was published from.

    ``version`` is the newest that was published by code, at ``at``, from ``commit`` of ``repository`` where these were
    said. ``edited`` is there when the published text is another one now.
    """

    version: int
    at: datetime
    commit: str | None
    repository: str | None
    edited: Edit | None


def of_version(version: TemplateVersion) -> Provenance:
    """Return what was said when a version was published."""
    return Provenance(
        note=version.note, by_code=version.by_code, commit=version.code_commit, repository=version.code_repository
    )


def columns(said: Provenance) -> dict[str, object]:
    """Return it as the columns of a version's row."""
    return {
        "note": said.note,
        "by_code": said.by_code,
        "code_commit": said.commit,
        "code_repository": said.repository,
    }


def standing(session: Session, service_id: int, identifier: str) -> CodeStanding | None:
    """Return how a template stands to its repository; None for one that was never published by code."""
    return standings(session, service_id, [identifier]).get(identifier)


def standings(session: Session, service_id: int, identifiers: Sequence[str]) -> dict[str, CodeStanding]:
    """Return how templates stand to their repositories, by identifier, of those that were ever published by code."""
    rows = session.execute(
        select(Template, TemplateVersion)
        .join(TemplateVersion, TemplateVersion.template_id == Template.id)
        .where(
            Template.service_id == service_id,
            Template.identifier.in_(identifiers),
            TemplateVersion.number > 0,
            TemplateVersion.by_code | (TemplateVersion.number == Template.current_version),
        )
        .order_by(TemplateVersion.number)
    )
    by_code: dict[str, TemplateVersion] = {}
    current: dict[str, TemplateVersion] = {}
    for row, version in rows:
        if version.by_code:
            by_code[row.identifier] = version
        if version.number == row.current_version:
            current[row.identifier] = version
    return {name: _standing(version, current[name]) for name, version in by_code.items() if name in current}


def _standing(version: TemplateVersion, current: TemplateVersion) -> CodeStanding:
    """Compare the texts alone: a template that is published anew with another partial was not edited."""
    same = version.content_hash == current.content_hash
    return CodeStanding(
        version=version.number,
        at=version.created_at,
        commit=version.code_commit,
        repository=version.code_repository,
        edited=None if same else Edit(current.number, current.created_by, current.created_at),
    )


def locked(session: Session, service_id: int, identifier: str) -> Lock | None:
    """Return the lock of one of the service's templates, if it has one."""
    return locks(session, service_id, [identifier]).get(identifier)


def locks(session: Session, service_id: int, identifiers: Sequence[str]) -> dict[str, Lock]:
    """Return the locks of those templates that have one, by identifier."""
    rows = session.scalars(
        select(Template).where(
            Template.service_id == service_id, Template.identifier.in_(identifiers), Template.locked_at.is_not(None)
        )
    )
    return {row.identifier: Lock(row.locked_at, row.locked_by or "", row.locked_from) for row in rows if row.locked_at}


def check_unlocked(session: Session, service_id: int, identifiers: Sequence[str]) -> None:
    """See that people may change templates.

    Raises:
        Problem: ``template_locked``, which names those that their repository alone may change.
    """
    found = sorted(locks(session, service_id, identifiers))
    if found:
        many = len(found) > 1
        detail = (
            f"{', '.join(found)} {'are' if many else 'is'} kept as code and locked: change {'them' if many else 'it'}"
            " in the repository, or have an administrator of the service unlock it."
        )
        raise Problem("template_locked", detail)


def lock(session: Session, service_id: int, identifier: str, by: str, repository: str | None) -> bool:
    """Lock a template against the portal; tell whether it was not locked."""
    row = _row(session, service_id, identifier)
    fresh = row.locked_at is None
    if fresh:
        row.locked_at, row.locked_by, row.locked_from = clock.now(), by[:_LONGEST_AUTHOR], repository
        session.flush()
    return fresh


def unlock(session: Session, service_id: int, identifier: str) -> bool:
    """Let people change a template again; tell whether it was locked."""
    row = _row(session, service_id, identifier)
    was = row.locked_at is not None
    row.locked_at = row.locked_by = row.locked_from = None
    session.flush()
    return was


def _row(session: Session, service_id: int, identifier: str) -> Template:
    chosen = select(Template).where(Template.service_id == service_id, Template.identifier == identifier)
    row = session.scalars(chosen.with_for_update()).one_or_none()
    if row is None:
        raise Problem("not_found", f"This service has no template {identifier}.")
    return row
