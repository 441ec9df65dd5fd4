"""Flushing: a due batch becomes deliveries, or fails whole with its reason, by one conditional UPDATE."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, case, func, or_, select, update
from sqlalchemy.orm import Session

from backend.accounts import reach
from backend.batching import keys, waits, wording
from backend.batching.keys import Limits
from backend.channels import redirects
from backend.channels.base import Channel
from backend.channels.redirects import Way
from backend.db import events, statements
from backend.db.models.accounts import Mode, Service
from backend.db.models.batches import Batch, BatchStatus, Why
from backend.db.models.notifications import OTHER_LANGUAGE, Delivery, DeliveryStatus, Priority
from backend.delivery.content import addressee, batch_parts, memories
from backend.delivery.content.memories import News
from backend.delivery.outcomes import states
from backend.lib import clock, ids, settings
from backend.registry.lookup import FoundTemplate
from backend.search import again

# Clocks of several machines differ a little; a member from further ahead than this shows that a clock was put back.
_SKEW = timedelta(seconds=5)


class Flushed(msgspec.Struct, frozen=True):
    """A batch that this transaction has dispatched.

    ``error`` says why it failed instead, ``waits`` that it may not leave yet.
    """

    batch_id: int
    uid: UUID
    error: str | None
    waits: bool = False

    @property
    def goes(self) -> bool:
        """Tell whether there is something to deliver."""
        return self.error is None and not self.waits


class _Taken(msgspec.Struct, frozen=True):
    """A batch that is this transaction's to dispatch."""

    id: int
    uid: Any
    service_id: int
    type: str
    recipient: str
    template: str
    members: int
    aggregator_id: str
    matter: str | None
    mode: str
    redirect: str | None
    language: str | None
    address: str | None


_COLUMNS = tuple(getattr(Batch, name) for name in _Taken.__struct_fields__)


def due(session: Session) -> list[int]:
    """List the batches to be dispatched now, the longest due first."""
    found = select(Batch.id).where(_is_due()).order_by(Batch.closes_at, Batch.id)
    return list(session.scalars(found))


def take_up(session: Session) -> list[int]:
    """Close batches to addresses that a process gave up whose code knows of recipients alone; return their rows.

    During an upgrade such processes work beside this one, and find that nobody of an empty name is registered.
    """
    ruled = select(Service.id).where(Service.rules_version > 0)
    given_up = (Batch.status == BatchStatus.FAILED.value, Batch.error == _unregistered(""))
    wanted = and_(Batch.service_id.in_(ruled), *given_up, Batch.address.is_not(None))
    there = session.scalar(select(Batch.id).where(wanted).limit(1)) is not None
    return close(session, wanted) if there else []


def _unregistered(name: str) -> str:
    return f"The recipient {name} is no longer registered."


def _is_due() -> ColumnElement[bool]:
    """Tell which batches are to be dispatched, in the words of the index on those that wait."""
    waiting = statements.one_of(Batch.status, (BatchStatus.OPEN, BatchStatus.CLOSED))
    closed = and_(Batch.status == BatchStatus.CLOSED.value, Batch.waits.is_(None))
    passed = or_(Batch.closes_at <= clock.now(), closed)
    return and_(waiting, passed, Batch.held.is_(False))


def unsent() -> ColumnElement[bool]:
    """Tell which batches can be dispatched on demand: those not gone yet, and those that failed to become a message.

    One that failed longer ago than the retention time may have lost members to it already, and stays as it is.
    """
    waiting = Batch.status.in_([BatchStatus.OPEN.value, BatchStatus.CLOSED.value])
    kept_since = clock.now() - timedelta(days=settings.current().retention_days)
    failed = and_(Batch.status == BatchStatus.FAILED.value, Batch.error.is_not(None), Batch.dispatched_at >= kept_since)
    return and_(or_(waiting, failed), ~keys.of_a_restored_database())


def next_look(session: Session, batch_id: int) -> datetime | None:
    """Return when an open batch closes, if that is still to come and nobody holds it back."""
    moment: datetime | None = session.scalar(
        select(Batch.closes_at).where(
            Batch.id == batch_id, Batch.status == BatchStatus.OPEN.value, Batch.held.is_(False), ~_is_due()
        )
    )
    return moment


def dispatch(session: Session, batch_id: int, *, demanded: bool = False) -> Flushed | None:
    """Dispatch a batch if it is due, or on demand; ``None`` when it is not, or somebody else has done it.

    The addresses and the template version are those of this moment, and so are the windows and mutes that it waits for.
    """
    now, mine = clock.now(), and_(Batch.id == batch_id, unsent() if demanded else _is_due())
    waits.lock(session, batch_id)
    waiting = waits.keep_back(session, mine)
    if waiting is not None:
        return Flushed(batch_id, waiting, None, waits=True)
    was_open = Batch.status == BatchStatus.OPEN.value
    why = case((was_open, Why.DEMAND.value), else_=Batch.why) if demanded else Batch.why
    taken = session.execute(
        update(Batch)
        .where(mine)
        .values(
            status=BatchStatus.DISPATCHED.value,
            held=False,
            why=why,
            closed_at=func.coalesce(Batch.closed_at, now),
            dispatched_at=now,
            error=None,
            waits=None,
            waits_why=None,
        )
        .returning(*_COLUMNS)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if taken is None:
        return None
    return _carry_out(session, _Taken(*taken))


def close(session: Session, wanted: ColumnElement[bool]) -> list[int]:
    """Close the unsent batches among these on demand, so that all are due at once; return their rows."""
    now = clock.now()
    closed = (
        update(Batch)
        .where(wanted, unsent())
        .values(
            status=BatchStatus.CLOSED.value,
            held=False,
            why=case((Batch.status == BatchStatus.OPEN.value, Why.DEMAND.value), else_=Batch.why),
            closes_at=now,
            closed_at=func.coalesce(Batch.closed_at, now),
            error=None,
        )
        .returning(Batch.id)
        .execution_options(synchronize_session=False)
    )
    return sorted(session.scalars(closed))


def _carry_out(session: Session, batch: _Taken) -> Flushed:
    choice = wording.of_batch(session, batch)
    template = choice.template if choice else None
    addresses = addressee.addresses(session, batch)
    ways = {address: redirects.way(Channel(batch.type), address, batch.redirect) for address in addresses or ()}
    goes_to = addressee.shown(batch.type, batch.recipient, batch.address)
    error = None
    if template is None:
        error = f"The template {batch.template} is no longer registered."
    elif addresses is None:
        error = _unregistered(batch.recipient)
    elif not addresses:
        error = f"The recipient {batch.recipient} has no {batch.type} endpoint any more."
    elif batch.mode == Mode.TEAM and not _in_reach(session, batch, ways.values()):
        error = f"The recipient {goes_to} has an address now that is neither a member's nor a guest's."
    values: dict[str, Any]
    if template is None or error is not None:
        values = {"status": BatchStatus.FAILED.value, "error": error}
    elif (found := _recalled(session, batch, template)) is not None and not found.goes:
        values = {"status": BatchStatus.CANCELLED.value, "why": Why.NOTHING_NEW.value}
        values["template_version_id"] = template.version_id
    else:
        _queue(session, batch, template, ways)
        waits.count(session, batch)
        values = {"template_version_id": template.version_id}
    session.execute(update(Batch).where(Batch.id == batch.id).values(**values))
    goes = values.get("status") != BatchStatus.CANCELLED.value
    _tell(session, batch, error, goes=goes)
    if choice is not None and choice.missing is not None and error is None and goes:
        said = choice.sentence(goes_to)
        events.write(session, [events.event(OTHER_LANGUAGE, said, batch_id=batch.id)])
    again.of_batch(session, batch.id)
    states.follow(session, [batch.id])
    return Flushed(batch.id, batch.uid, error)


def _recalled(session: Session, batch: _Taken, template: FoundTemplate) -> News | None:
    """Take down what the messages before a batch's told, and count its news; None if its template remembers nothing."""
    rules = template.batch
    if not rules or "item_key" not in rules:
        return None
    memory_key = addressee.memory(batch)
    memory = memories.present(session, memory_key)
    memories.take_down(session, batch.id, rules["item_key"], memory)
    session.execute(update(Batch).where(Batch.id == batch.id).values(memory=memory_key))
    return memories.news(batch_parts.read(session, batch.id, examples=True).fields, rules, memory)


def _in_reach(session: Session, batch: _Taken, ways: Iterable[Way]) -> bool:
    """Tell whether all that a batch goes to may be reached while it is held to the team of its service."""
    team = reach.of_team(session, batch.service_id)
    return all(team.has(way.channel, way.address) for way in ways)


def _queue(session: Session, batch: _Taken, template: FoundTemplate, ways: Mapping[str, Way]) -> None:
    """Make the deliveries; those of a batch that failed before begin again, with the identities they had."""
    now = clock.now()
    matter_id = ids.matter_id(batch.service_id, batch.matter or batch.aggregator_id)
    addresses = [way.address for way in ways.values()]
    earlier = and_(Delivery.batch_id == batch.id, Delivery.status == DeliveryStatus.FAILED.value)
    session.execute(
        update(Delivery)
        .where(earlier, Delivery.address.not_in(addresses))
        .values(status=DeliveryStatus.CANCELLED.value)
        .execution_options(synchronize_session=False)
    )
    again = {
        "status": DeliveryStatus.QUEUED.value,
        "template_version_id": template.version_id,
        "attempts": 0,
        "provider": None,
        "error": None,
        "due_at": now,
        "created_at": now,
    }
    rows = [
        again
        | {
            "uid": ids.batch_delivery_id(batch.uid, address),
            "batch_id": batch.id,
            "service_id": batch.service_id,
            "priority": Priority.BATCH.value,
            "type": way.channel.value,
            "recipients": [batch.recipient] if batch.address is None else [],
            "address": way.address,
            "mode": batch.mode,
            "meant_for": way.meant_for,
            "matter_id": matter_id,
        }
        for address, way in ways.items()
    ]
    statement = statements.insert(session, Delivery)
    unsuccessful = or_(
        Delivery.status == DeliveryStatus.FAILED.value, Delivery.status == DeliveryStatus.CANCELLED.value
    )
    session.execute(statement.on_conflict_do_update(index_elements=["uid"], set_=again, where=unsuccessful), rows)


def _tell(session: Session, batch: _Taken, error: str | None, *, goes: bool) -> None:
    count = f"{batch.members} notification" + ("" if batch.members == 1 else "s")
    detail = f"The batch of {count} could not be sent: {error}" if error else f"The batch of {count} was dispatched."
    kind = "batch_failed" if error else "batch_dispatched"
    if not goes:
        kind, detail = "nothing_new", f"The batch of {count} was not sent: nothing in it is new since the last message."
    events.write(session, [events.event(kind, detail, batch_id=batch.id)])


def _ahead() -> ColumnElement[bool]:
    waiting = statements.one_of(Batch.status, (BatchStatus.OPEN, BatchStatus.CLOSED))
    return and_(waiting, Batch.status == BatchStatus.OPEN.value, Batch.last_member_at > clock.now() + _SKEW)


def anything_ahead(session: Session) -> bool:
    """Tell whether an open batch seems to come from the future: a look that locks nothing."""
    return session.execute(select(Batch.id).where(_ahead()).limit(1)).first() is not None


def fix_clock_skew(session: Session) -> int:
    """Let batches that seem to come from the future begin to wait now; return how many.

    A clock that was ahead and is put right would otherwise keep them waiting for as long as it was ahead.
    """
    now = clock.now()
    found = session.scalars(select(Batch).where(_ahead()).order_by(Batch.id).with_for_update()).all()
    for batch in found:
        batch.opened_at, batch.last_member_at = min(batch.opened_at, now), now
        limits = Limits(batch.quiet_seconds, batch.max_wait_seconds, batch.max_items, batch.digest)
        batch.closes_at, batch.why = limits.closing(batch.opened_at, now)
    session.flush()
    return len(found)
