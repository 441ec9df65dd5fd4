"""What batches remember: the items that the last message of a matter told of, by channel, recipient and template.

What is remembered is taken down when a batch is dispatched, so that all its messages and their repeats are made with
the same; what the batch tells is remembered in its turn when the first of its messages counts as sent, once.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from backend.db.models.accounts import Mode
from backend.db.models.batches import BatchItem, BatchMemory
from backend.db.statements import insert
from backend.delivery.content import batch_parts
from backend.lib import clock, ids
from backend.rendering.memory import identity, parted
from backend.rendering.model import Memory, Told

_read = msgspec.json.Decoder(dict[str, Told]).decode
_write = msgspec.json.Encoder().encode
# A statement takes so many parameters.
_AT_ONCE = 500


class News(msgspec.Struct, frozen=True):
    """How many items of a batch are new, are told of still, and are resolved; ``goes`` tells whether it is sent."""

    new: int
    still: int
    resolved: int
    goes: bool


def key(service_id: int, mode: str, *parts: str) -> str:
    """Return the key of a memory, whose ``parts`` are matter, channel, recipient and template.

    What reaches nobody, or the team alone, is remembered apart from what reaches everybody.
    """
    apart = [] if mode == Mode.LIVE else [mode]
    return hashlib.sha256(ids.canonical([service_id, *parts, *apart])).hexdigest()


def present(session: Session, memory: str) -> Memory:
    """Return what is remembered at this moment."""
    rows = session.execute(
        select(BatchItem.item, BatchItem.fields, BatchItem.first_seen, BatchItem.times)
        .where(BatchItem.memory == memory)
        .order_by(BatchItem.id)
    )
    told = {item: Told(json.loads(fields), clock.iso(first_seen), times) for item, fields, first_seen, times in rows}
    return Memory(clock.iso(clock.now()), told)


def news(members: Sequence[dict[str, Any]], batch: Mapping[str, Any] | None, memory: Memory) -> News | None:
    """Count what a batch would tell; ``batch`` is what its template says of batches. None if it remembers nothing."""
    if not batch or "item_key" not in batch:
        return None
    items = parted(members, batch["item_key"], memory)
    goes = bool(items.new) or not batch.get("only_if_new")
    return News(len(items.new), len(items.still), len(items.resolved), goes)


def take_down(session: Session, batch_id: int, item_key: str, memory: Memory) -> None:
    """Take down what is remembered as a batch is dispatched; anew for one that failed before and told nothing."""
    row = {"item_key": item_key, "told": _write(memory.told).decode(), "at": datetime.fromisoformat(memory.at)}
    statement = insert(session, BatchMemory).values(batch_id=batch_id, **row)
    session.execute(
        statement.on_conflict_do_update(index_elements=["batch_id"], set_=row, where=BatchMemory.written_at.is_(None))
    )


def of_batch(session: Session, batch_id: int) -> Memory | None:
    """Return what a batch's messages are made with; None if it was dispatched without a memory."""
    found = session.execute(select(BatchMemory.told, BatchMemory.at).where(BatchMemory.batch_id == batch_id)).first()
    return Memory(clock.iso(found[1]), _read(found[0])) if found else None


def remember(session: Session, batch_id: int, memory: str) -> None:
    """Remember what a batch tells, now that a message of it is sent, unless that was done."""
    now = clock.now()
    taken = session.execute(
        update(BatchMemory)
        .where(BatchMemory.batch_id == batch_id, BatchMemory.written_at.is_(None))
        .values(written_at=now)
        .returning(BatchMemory.item_key, BatchMemory.told, BatchMemory.at)
        .execution_options(synchronize_session=False)
    ).first()
    if taken is None:
        return
    item_key, told, at = taken[0], _read(taken[1]), taken[2]
    items: dict[str, dict[str, Any]] = {}
    for fields in batch_parts.read(session, batch_id, examples=True).fields:
        known = identity(fields, item_key)
        if known is not None:
            items[known] = fields
    rows = [
        {
            "memory": memory,
            "item": known,
            "fields": json.dumps(fields, ensure_ascii=False),
            "first_seen": datetime.fromisoformat(told[known].first_seen) if known in told else at,
            "last_told": now,
            "times": told[known].times_told + 1 if known in told else 1,
        }
        for known, fields in sorted(items.items())
    ]
    _store(session, rows)
    _drop(session, memory, sorted(told.keys() - items.keys()))


def _store(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    statement = insert(session, BatchItem)
    changed: dict[str, Any] = {name: statement.excluded[name] for name in ("fields", "last_told")}
    # Another batch may have told of it meanwhile.
    changed["times"] = BatchItem.times + 1
    session.execute(statement.on_conflict_do_update(index_elements=["memory", "item"], set_=changed), rows)


def _drop(session: Session, memory: str, items: Sequence[str]) -> None:
    """Forget what was told to be resolved."""
    for begin in range(0, len(items), _AT_ONCE):
        gone = (BatchItem.memory == memory) & BatchItem.item.in_(items[begin : begin + _AT_ONCE])
        session.execute(delete(BatchItem).where(gone).execution_options(synchronize_session=False))
