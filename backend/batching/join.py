"""Holding: buffered notifications join the open batch of their key, in the transaction that stores them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import Table, bindparam, select, text, update
from sqlalchemy.orm import Session

from backend.batching.keys import Key, Limits, of_a_restored_database
from backend.channels.attachments import MAX_BYTES
from backend.db.driver import Insert
from backend.db.models.batches import Batch, BatchMember, BatchStatus, Why
from backend.db.statements import for_dialect
from backend.lib import clock, ids


class Joining(msgspec.Struct, frozen=True):
    """One channel of a notification for one recipient; ``notification_id`` is the row, ``uid`` the public id.

    ``attached_bytes`` is how much its files have together, ``language`` is what it asks for.
    """

    key: Key
    limits: Limits
    notification_id: int
    uid: UUID
    channel_index: int
    attached_bytes: int = 0
    language: str | None = None


class Moment(msgspec.Struct, frozen=True):
    """When a batch is to be looked at."""

    batch_id: int
    at: datetime


def join(session: Session, joining: Sequence[Joining]) -> list[Moment]:
    """Put each into the open batch of its key, in the order given; return when the new and the full ones are due.

    Keys are taken in one order, so that two of these never wait for each other. A batch that is full, or whose message
    could not carry the next one's files as well, closes; the next batch of the key takes the rest and is held back too
    if the full one was. All keys are served together, by as many rounds of a few statements as the fullest of them
    needs batches.
    """
    groups: dict[str, list[Joining]] = {}
    for one in joining:
        groups.setdefault(one.key.digest(), []).append(one)
    held = _paused(session, list(groups))
    moments: list[Moment] = []
    rest = {digest: groups[digest] for digest in sorted(groups)}
    while rest:
        batches = _open(session, {digest: some[0] for digest, some in rest.items()}, held)
        parts = [_Part.of(batches[digest], some) for digest, some in rest.items()]
        session.connection().execute(_EXTEND, [part.values() for part in parts])
        _MEMBERS.send(session, [row for part in parts for row in part.rows()])
        moments += [moment for part in parts if (moment := part.moment()) is not None]
        held |= {part.batch.key for part in parts if part.batch.held}
        rest = {part.batch.key: part.left for part in parts if part.left}
    return moments


def _capacity(batch: "_Open", joining: Sequence[Joining]) -> int:
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
    key: str
    members: int
    last_seq: int
    held: bool
    opened_at: datetime
    last_member_at: datetime
    closes_at: datetime
    why: str
    quiet_seconds: float
    max_wait_seconds: float
    max_items: int
    digest: str | None
    attached_bytes: int
    waits: str | None


_batches = cast("Table", Batch.__table__)
_COLUMNS = tuple(_batches.c[name] for name in _Open.__struct_fields__)
_CHANGED = ("members", "last_seq", "last_member_at", "closes_at", "why", "attached_bytes", *Limits.__struct_fields__)
_EXTEND = (
    update(_batches)
    .where(_batches.c.id == bindparam("batch"))
    .values({name: bindparam(f"new_{name}") for name in (*_CHANGED, "status", "closed_at")})
)
_MEMBERS = Insert(
    cast("Table", BatchMember.__table__), ("batch_id", "seq", "notification_id", "channel_index", "recipient")
)


def _paused(session: Session, digests: Sequence[str]) -> set[str]:
    """Find the keys with a full batch that is held back, which the next batch of the key is too."""
    closed = select(Batch.key).where(
        Batch.key.in_(digests),
        Batch.status == BatchStatus.CLOSED.value,
        Batch.held.is_(True),
        ~of_a_restored_database(kept=False),
    )
    return set(session.scalars(closed))


def _open(session: Session, firsts: Mapping[str, Joining], held: Collection[str]) -> dict[str, _Open]:
    """Lock the open batch of each key, or open one: one statement for many, so that none is ever opened twice."""
    now = clock.now()
    statement = for_dialect(session.get_bind().dialect.name, _batches)
    locked = statement.on_conflict_do_update(
        index_elements=["key"], index_where=text("status = 'OPEN'"), set_={"key": statement.excluded.key}
    )
    rows = [_new(digest, first, now, held=digest in held) for digest, first in firsts.items()]
    found = session.connection().execute(locked.returning(*_COLUMNS), rows)
    return {batch.key: batch for batch in (_Open(*row) for row in found)}


def _new(digest: str, first: Joining, now: datetime, *, held: bool) -> dict[str, Any]:
    closes_at, why = first.limits.closing(now, now)
    return {
        "uid": ids.batch_id(digest, first.uid, first.channel_index, clock.iso(now)),
        "key": digest,
        **msgspec.structs.asdict(first.key),
        "matter_id": first.key.matter_id,
        "language": first.language,
        **msgspec.structs.asdict(first.limits),
        "status": BatchStatus.OPEN.value,
        "held": held,
        "members": 0,
        "last_seq": 0,
        "opened_at": now,
        "last_member_at": now,
        "closes_at": closes_at,
        "why": why.value,
    }


class _Part(msgspec.Struct, frozen=True):
    """What joins an open batch of those that come for its key, and what is ``left`` for the next one."""

    batch: _Open
    joined: Sequence[Joining]
    left: list[Joining]
    at: datetime

    @classmethod
    def of(cls, batch: _Open, some: Sequence[Joining]) -> "_Part":
        """Part those who come for a batch: it takes as many as the first of them, and their files, let it."""
        space_left = _capacity(batch, some)
        return cls(batch, some[:space_left], list(some[space_left:]), clock.now())

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the new members."""
        return [
            {
                "batch_id": self.batch.id,
                "seq": position,
                "notification_id": one.notification_id,
                "channel_index": one.channel_index,
                "recipient": one.key.recipient,
            }
            for position, one in enumerate(self.joined, start=self.batch.last_seq + 1)
        ]

    @property
    def limits(self) -> Limits:
        """The limits in force for the newest member."""
        batch = self.batch
        return (
            self.joined[-1].limits
            if self.joined
            else Limits(batch.quiet_seconds, batch.max_wait_seconds, batch.max_items, batch.digest)
        )

    @property
    def is_full(self) -> bool:
        """Tell whether the batch closes: it has all that it takes, or somebody found no room in it."""
        return bool(self.left) or self.batch.members + len(self.joined) >= self.limits.max_items

    def closing(self) -> tuple[datetime, str]:
        """Return when the batch closes now, and why; what is due already is not put off by one who comes before."""
        if self.is_full:
            return self.at, Why.SIZE.value
        if self.batch.waits is not None:
            return self.batch.closes_at, self.batch.why
        if self.batch.closes_at > self.at or not self.batch.members:
            due, why = self.limits.closing(self.batch.opened_at, self.at)
            return due, why.value
        return self.batch.closes_at, self.batch.why

    def values(self) -> dict[str, Any]:
        """Return the batch's row as it is with the new members counted, closed when it is full."""
        closes_at, why = self.closing()
        full, count = self.is_full, len(self.joined)
        changed = {
            "members": self.batch.members + count,
            "last_seq": self.batch.last_seq + count,
            "last_member_at": self.at if self.joined else self.batch.last_member_at,
            "closes_at": closes_at,
            "why": why,
            "attached_bytes": self.batch.attached_bytes + sum(one.attached_bytes for one in self.joined),
            "status": (BatchStatus.CLOSED if full else BatchStatus.OPEN).value,
            "closed_at": self.at if full else None,
        } | msgspec.structs.asdict(self.limits)
        return {"batch": self.batch.id} | {f"new_{name}": value for name, value in changed.items()}

    def moment(self) -> Moment | None:
        """Return when to look at the batch; one that merely goes on has its timer, which finds the moment moved."""
        due, _ = self.closing()
        return (
            Moment(self.batch.id, due)
            if self.is_full or not self.batch.last_seq or due < self.batch.closes_at
            else None
        )


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
