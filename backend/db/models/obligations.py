"""Promises that somebody learns of a notification: what is done until then, and who answered for it in the end."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from advanced_alchemy.base import IdentityBase
from advanced_alchemy.types import GUID, BigIntIdentity
from sqlalchemy import ForeignKey, Index, SmallInteger, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import JsonB, Moment


class ObligationState(StrEnum):
    """Where an obligation stands: under way, reached, in front of a person, or closed by one."""

    OPEN = "OPEN"
    MET = "MET"
    WORKLIST = "WORKLIST"
    CLOSED = "CLOSED"


class StepState(StrEnum):
    """Where a step stands: to come, taken and not handed over yet, handed over, refused then, or not needed."""

    WAITING = "WAITING"
    TAKEN = "TAKEN"
    SENT = "SENT"
    REFUSED = "REFUSED"
    CANCELLED = "CANCELLED"


_OPEN = text("state = 'OPEN'")
_UNENDED = text("ended_at IS NULL")
_TAKEN = text("state = 'TAKEN'")
_FOLLOWED = text("follow_up_at IS NOT NULL")


class Obligation(IdentityBase):
    """What a notification owes: it outlives that notification, so that nothing ends in silence.

    ``until`` is the goal. ``next_at`` is when the next step is due, or, after the last, when the obligation goes to the
    worklist; it is null for one that is not open. ``met_by`` names who reached the goal as far as that is known, and
    ``met_through`` how; ``closed_by`` and ``closed_through`` tell the same of one that was closed. ``ended_at`` is set
    by MET and CLOSED. ``matter_id`` is what it is about, with which it ends. From ``follow_up_at`` on its posts and
    tickets are to say how it ended; ``followed_up`` lists the rows of those deliveries that do.
    """

    __tablename__ = "obligations"
    __table_args__ = (
        Index("ix_obligations_due", "next_at", "id", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_obligations_service_state", "service_id", "state", "id"),
        Index("ix_obligations_matter", "matter_id", "id", sqlite_where=_UNENDED, postgresql_where=_UNENDED),
        Index("ix_obligations_follow_up", "follow_up_at", "id", sqlite_where=_FOLLOWED, postgresql_where=_FOLLOWED),
    )

    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    api_client_id: Mapped[int | None] = mapped_column(ForeignKey("api_clients.id"), default=None)
    notification_uid: Mapped[UUID] = mapped_column(GUID(), unique=True)
    policy_id: Mapped[str | None] = mapped_column(String(64), default=None)
    matter_id: Mapped[UUID | None] = mapped_column(GUID(), default=None)
    until: Mapped[str] = mapped_column(String(12))
    at_last: Mapped[str] = mapped_column(String(12))
    state: Mapped[str] = mapped_column(String(8))
    opened_at: Mapped[datetime] = mapped_column(Moment)
    next_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    met_by: Mapped[str | None] = mapped_column(String(320), default=None)
    met_through: Mapped[str | None] = mapped_column(String(8), default=None)
    met_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    worklist_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    closed_by: Mapped[str | None] = mapped_column(String(320), default=None)
    closed_through: Mapped[str | None] = mapped_column(String(8), default=None)
    closed_reason: Mapped[str | None] = mapped_column(Text, default=None)
    ended_at: Mapped[datetime | None] = mapped_column(Moment, index=True, default=None)
    follow_up_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    followed_up: Mapped[list[int] | None] = mapped_column(JsonB, default=None)


class ObligationStep(IdentityBase):
    """One step of an obligation, in order of ``number``; the first is the notification itself.

    ``notification_uid`` is the notification that the step is, or will be: always the same, so that a step that is
    handed over twice is sent once. ``content`` is what it says as a client would send it; null for the first step.
    ``after`` is the time from the opening, in seconds. ``detail`` says why a step was refused. Behind the worklist's
    turn may stand a ticket for that, of which ``content`` says whose it is.
    """

    __tablename__ = "obligation_steps"
    __table_args__ = (
        UniqueConstraint("obligation_id", "number"),
        Index("ix_obligation_steps_taken", "taken_at", sqlite_where=_TAKEN, postgresql_where=_TAKEN),
    )

    obligation_id: Mapped[int] = mapped_column(BigIntIdentity, ForeignKey("obligations.id"))
    number: Mapped[int] = mapped_column(SmallInteger)
    notification_uid: Mapped[UUID] = mapped_column(GUID(), index=True)
    after: Mapped[int]
    due_at: Mapped[datetime] = mapped_column(Moment)
    state: Mapped[str] = mapped_column(String(9))
    content: Mapped[str | None] = mapped_column(Text, default=None)
    taken_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    detail: Mapped[str | None] = mapped_column(Text, default=None)


class ObligationDay(IdentityBase):
    """How many obligations a service opened on a day (UTC): the one side of their ledger."""

    __tablename__ = "obligation_days"
    __table_args__ = (UniqueConstraint("service_id", "day"),)

    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    day: Mapped[date]
    opened: Mapped[int]


class Policy(IdentityBase):
    """Steps that a team keeps under a name, so that client systems need not say them; a deleted one keeps its name."""

    __tablename__ = "policies"

    identifier: Mapped[str] = mapped_column(String(64), unique=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    until: Mapped[str] = mapped_column(String(12))
    at_last: Mapped[str] = mapped_column(String(12))
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JsonB)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    deleted_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
