"""The audit log: every change by a person, an API client or a command, written in the change's own transaction."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from sqlalchemy import insert
from sqlalchemy.orm import Session

from backend.db.models.audit import AuditEntry

Kind = Literal["person", "client", "command", "system"]


class Actor(msgspec.Struct, frozen=True):
    """Who makes a change: a person by their e-mail address, an API client by its id, a command by its name."""

    kind: Kind
    name: str


SYSTEM = Actor("system", "Carillon")


def record(  # noqa: PLR0913 - what an entry is made of, each named at the call
    session: Session,
    actor: Actor,
    action: str,
    subject: str,
    *,
    service_id: int | None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Add an entry: ``action`` is ``thing.verb``, such as ``recipient.changed``; ``detail`` holds no secret."""
    session.add(AuditEntry(**_row(actor, action, subject, service_id, detail or {})))


def record_each(
    session: Session, actor: Actor, action: str, subjects: Mapping[str, dict[str, Any]], *, service_id: int
) -> None:
    """Add an entry for each of many subjects of a service, given with their details, by one statement."""
    rows = [_row(actor, action, subject, service_id, detail) for subject, detail in subjects.items()]
    if rows:
        session.execute(insert(AuditEntry), rows)


def _row(actor: Actor, action: str, subject: str, service_id: int | None, detail: dict[str, Any]) -> dict[str, Any]:
    return {
        "service_id": service_id,
        "actor_kind": actor.kind,
        "actor": actor.name,
        "action": action,
        "subject": subject[:254],
        "detail": detail,
    }
