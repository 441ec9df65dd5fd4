"""Batches that may not leave yet: they go on gathering until their windows are open, no mute is left, and their
recipients may have one message more.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, case, select, update
from sqlalchemy.orm import Session

from backend.batching.keys import Key
from backend.channels import simulator
from backend.channels.base import Channel
from backend.db.models.accounts import Mode, Service
from backend.db.models.batches import Batch, BatchStatus
from backend.delivery.content import addressee
from backend.delivery.content.addressee import Addressed
from backend.delivery.outcomes import deferring, states
from backend.lib import clock
from backend.registry import sending, throttles
from backend.registry.sending import Wait
from backend.registry.throttles import Allowance


class Counted(Addressed, Protocol):
    """What throttles ask of a batch."""

    @property
    def template(self) -> str: ...
    @property
    def mode(self) -> str: ...


def keep_back(session: Session, mine: ColumnElement[bool]) -> UUID | None:
    """Let a batch that is due, or demanded, wait if it must; return its public id if so.

    One that is full stays closed, and one that had failed is closed again.
    """
    ruled = select(Batch).join(Service, Service.id == Batch.service_id).where(mine, Service.rules_version > 0)
    batch = session.scalar(ruled.with_for_update(of=Batch))
    if batch is None:
        return None
    wait = _wait(session, batch) or _throttled(session, batch)
    if wait is None:
        return None
    news = (wait.code, wait.detail) != (batch.waits, batch.waits_why)
    status = case((Batch.status == BatchStatus.FAILED.value, BatchStatus.CLOSED.value), else_=Batch.status)
    values = {"status": status, "held": False, "error": None, "closes_at": wait.until}
    change = update(Batch).where(Batch.id == batch.id).values(**values, waits=wait.code, waits_why=wait.detail)
    session.execute(change.execution_options(synchronize_session=False))
    if news:
        deferring.tell(session, [(None, batch.id, wait)])
    states.follow(session, [batch.id])
    return batch.uid


def _wait(session: Session, batch: Batch) -> Wait | None:
    rules = sending.present(session, batch.service_id)
    wait = rules.wait(batch.template, [batch.recipient], high=False, moment=clock.now())
    if wait is None:
        return None
    addresses = addressee.addresses(session, batch)
    if addresses and all(simulator.is_address(Channel(batch.type), one) for one in addresses):
        return None
    return wait


def lock(session: Session, batch_id: int) -> None:
    """Lock the service of a batch that throttles may keep back, before that batch, as all do who accept."""
    if session.get_bind().dialect.name == "sqlite":
        return
    own = select(Batch.service_id).where(Batch.id == batch_id).scalar_subquery()
    wanted = select(Service.id).where(Service.id == own, Service.rules_version > 0)
    session.execute(wanted.with_for_update(key_share=True))


def _asked(session: Session, batch: Counted) -> Mapping[Allowance, int]:
    rules, test = sending.present(session, batch.service_id), batch.mode == Mode.TEST
    name = addressee.counted_as(batch)
    return throttles.asked(batch.service_id, rules, batch.template, name, high=False, test=test)


def _throttled(session: Session, batch: Batch) -> Wait | None:
    """Return how long a batch has to wait since its message would be one too many for its recipient."""
    asked = _asked(session, batch)
    return throttles.counts(session, asked, clock.now()).wait(asked) if asked else None


def count(session: Session, batch: Counted) -> None:
    """Count the message of a batch that leaves."""
    asked = _asked(session, batch)
    if asked:
        counts = throttles.counts(session, asked, clock.now())
        counts.add("batch", asked)
        counts.store(["batch"])


def expected(session: Session, key: Key, moment: datetime) -> Wait | None:
    """Return what a batch of a key would wait for that could leave at a moment."""
    rules = sending.present(session, key.service_id)
    return rules.wait(key.template, [key.recipient], high=False, moment=moment)
