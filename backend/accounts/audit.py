"""The audit log: every change by a person, an API client or a command, written in the change's own transaction."""

from typing import Any, Literal

import msgspec
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
    session.add(
        AuditEntry(
            service_id=service_id,
            actor_kind=actor.kind,
            actor=actor.name,
            action=action,
            subject=subject[:254],
            detail=detail or {},
        )
    )
