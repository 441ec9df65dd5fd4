"""Holding: buffered notifications join the open batch of their key, in the transaction that stores them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import insert as plain_insert
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from backend.batching.keys import Key, Limits, of_a_restored_database
from backend.channels.attachments import MAX_BYTES
from backend.db.models.batches import Batch, BatchMember, BatchStatus, Why
from backend.db.statements import insert
from backend.lib import clock, ids


class Joining(msgspec.Struct, frozen=True):
    """One channel of a notification for one recipient; ``notification_id`` is the row, ``uid`` the public id.

    ``attached_bytes`` is how much its files have together.
    """

    key: Key
    limits: Limits
    notification_id: int
    uid: UUID
    channel_index: int
    attached_bytes: int = 0


class Moment(msgspec.Struct, frozen=True):
    """When a batch is to be looked at."""

    batch_id: int
    at: datetime


def hold(session: Session, joining: Sequence[Joining]) -> list[Moment]:
    """Put each into the open batch of its key, in the order given; return when the new and the full ones are due.

    Keys are taken in one order, so that two of these never wait for each other. A batch that is full, or whose message
    could not carry the next one's files as well, closes; the next batch of the key takes the rest and is held back too
    if the full one was.
    """
    groups: dict[str, list[Joining]] = {}
    for one in joining:
        groups.setdefault(one.key.digest(), []).append(one)
    held = _held_back(session, list(groups))
    moments: list[Moment] = []
    rows: list[dict[str, Any]] = []
    for digest in sorted(groups):
        rest = groups[digest]
        while rest:
            batch = _open(session, digest, rest[0], held=digest in held)
            joined = rest[: _room(batch, rest)]
            rest = rest[len(joined) :]
            rows += [_member_row(batch, place, one) for place, one in enumerate(joined, start=batch.last_seq + 1)]
            moments += _extend(session, batch, joined, full=bool(rest))
            if batch.held:
                held.add(digest)
    if rows:
        session.execute(plain_insert(BatchMember), rows)
    return moments


def _room(batch: "_Open", joining: Sequence[Joining]) -> int:
    """Count how many of these a batch can take, in their order; an empty one takes the first, whatever files it has."""
    most = max(0, joining[0].limits.max_items - batch.members)
    carried = batch.attached_bytes
    for count, one in enumerate(joining[:most]):
        carried += one.attached_bytes
        if one.attached_bytes and carried > MAX_BYTES:
            return count
    return min(most, len(joining))


class _Open(msgspec.Struct, frozen=True):
    """An open batch whose row this transaction has locked."""

    id: int
    members: int
    last_seq: int
    held: bool
    opened_at: datetime
    last_member_at: datetime
    closes_at: datetime
    why: str
    max_items: int
    attached_bytes: int


_COLUMNS = tuple(getattr(Batch, name) for name in _Open.__struct_fields__)


def _held_back(session: Session, digests: Sequence[str]) -> set[str]:
    """Find the keys with a full batch that is held back, which the next batch of the key is too."""
    closed = select(Batch.key).where(
        Batch.key.in_(digests),
        Batch.status == BatchStatus.CLOSED.value,
        Batch.held.is_(True),
        ~of_a_restored_database(kept=False),
    )
    return set(session.scalars(closed))


def _open(session: Session, digest: str, first: Joining, *, held: bool) -> _Open:
    """Lock the open batch of a key, or open one: one statement, so that none is ever opened twice."""
    now, key, limits = clock.now(), first.key, first.limits
    closes_at, why = limits.closing(now, now)
    statement = insert(session, Batch).values(
        uid=ids.batch_id(digest, first.uid, first.channel_index, clock.iso(now)),
        key=digest,
        **msgspec.structs.asdict(key),
        **msgspec.structs.asdict(limits),
        status=BatchStatus.OPEN.value,
        held=held,
        members=0,
        last_seq=0,
        opened_at=now,
        last_member_at=now,
        closes_at=closes_at,
        why=why.value,
    )
    locked = statement.on_conflict_do_update(
        index_elements=["key"], index_where=text("status = 'OPEN'"), set_={"key": digest}
    )
    return _Open(*session.execute(locked.returning(*_COLUMNS)).one())


def _member_row(batch: _Open, place: int, one: Joining) -> dict[str, Any]:
    return {
        "batch_id": batch.id,
        "seq": place,
        "notification_id": one.notification_id,
        "channel_index": one.channel_index,
        "recipient": one.key.recipient,
    }


def _extend(session: Session, batch: _Open, joined: Sequence[Joining], *, full: bool) -> list[Moment]:
    """Count the new members, move the closing time, and close the batch when it is full."""
    now = clock.now()
    values: dict[str, Any] = {"members": batch.members + len(joined), "last_seq": batch.last_seq + len(joined)}
    due = batch.closes_at
    if joined:
        limits = joined[-1].limits
        full = full or values["members"] >= limits.max_items
        values |= msgspec.structs.asdict(limits)
        values["last_member_at"] = now
        values["attached_bytes"] = batch.attached_bytes + sum(one.attached_bytes for one in joined)
        # What is due already is not put off by one who comes before it is fetched.
        if batch.closes_at > now or not batch.members:
            due, why = limits.closing(batch.opened_at, now)
            values |= {"closes_at": due, "why": why.value}
    if full:
        due = now
        values |= {"status": BatchStatus.CLOSED.value, "closes_at": now, "closed_at": now, "why": Why.SIZE.value}
    session.execute(
        update(Batch).where(Batch.id == batch.id).values(**values).execution_options(synchronize_session=False)
    )
    # A batch that merely goes on has its timer, which finds out that the moment has moved.
    return [Moment(batch.id, due)] if full or not batch.last_seq or due < batch.closes_at else []


def expected(session: Session, key: Key, limits: Limits, attached_bytes: int = 0) -> tuple[datetime, int]:
    """Return when the batch of a key would close if something joined it now, and its members with that one."""
    now = clock.now()
    batch = session.scalar(select(Batch).where(Batch.key == key.digest(), Batch.status == BatchStatus.OPEN.value))
    overfull = batch is not None and attached_bytes > 0 and batch.attached_bytes + attached_bytes > MAX_BYTES
    if batch is None or batch.members >= limits.max_items or overfull:
        members, opened_at, due = 1, now, False
    else:
        members, opened_at, due = batch.members + 1, batch.opened_at, batch.closes_at <= now
    if due or members >= limits.max_items:
        return now, members
    return limits.closing(opened_at, now)[0], members
