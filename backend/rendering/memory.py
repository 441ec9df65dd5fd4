"""Batches with memory: which items of a batch are new, which are told of still, and which are no longer there.

An item is known again by one member that the template names. What has no such member is new each time.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from backend.lib import clock
from backend.rendering.model import Memory, RenderJob, Told

_EXAMPLE_AGO = timedelta(days=2)
_EXAMPLE_TIMES = 2


class Item(dict[str, Any]):
    """The fields of an item; what they do not have themselves is said by its attributes.

    ``first_seen`` is when it was first told of, as ISO 8601 in UTC, ``times_told`` how many messages before this one
    have told of it.
    """

    __slots__ = ("first_seen", "times_told")

    def __init__(self, fields: dict[str, Any], first_seen: str, times_told: int) -> None:
        super().__init__(fields)
        self.first_seen = first_seen
        self.times_told = times_told


class Items(list[dict[str, Any]]):
    """The fields of all members, in order of arrival; each item is once among ``new`` or ``still``, as it came last.

    ``resolved`` are those that the message before told of and this batch does not, as they were told of then.
    """

    __slots__ = ("new", "resolved", "still")

    def __init__(self, members: Iterable[Item], new: list[Item], still: list[Item], resolved: list[Item]) -> None:
        super().__init__(members)
        self.new = new
        self.still = still
        self.resolved = resolved


def identity(fields: dict[str, Any], item_key: str) -> str | None:
    """Return by what an item is known again: a SHA-256 in hexadecimal; None where it has no such member, or null."""
    value = fields.get(item_key)
    if value is None:
        return None
    written = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()


def parted(members: Sequence[dict[str, Any]], item_key: str, memory: Memory) -> Items:
    """Part the items of a batch by what was told before."""
    every = [_item(one, identity(one, item_key), memory) for one in members]
    latest: dict[str, Item] = {}
    for number, one in enumerate(every):
        latest[identity(one, item_key) or f"{number}"] = one
    return Items(
        every,
        [one for known, one in latest.items() if known not in memory.told],
        [one for known, one in latest.items() if known in memory.told],
        [Item(one.fields, one.first_seen, one.times_told) for known, one in memory.told.items() if known not in latest],
    )


def _item(fields: dict[str, Any], known: str | None, memory: Memory) -> Item:
    told = memory.told.get(known) if known is not None else None
    return Item(fields, told.first_seen, told.times_told) if told else Item(fields, memory.at, 0)


def example(members: Sequence[dict[str, Any]], item_key: str) -> Memory:
    """Make a memory with which a sample shows all there is: half of it was told of before, and one item is gone."""
    now = clock.now()
    before = clock.iso(now - _EXAMPLE_AGO)
    told = {
        known: Told(one, before, _EXAMPLE_TIMES)
        for one in members[(len(members) + 1) // 2 :]
        if (known := identity(one, item_key)) is not None
    }
    if members and identity(members[-1], item_key) is not None:
        gone = members[-1] | {item_key: f"{members[-1][item_key]} (before)"}
        told[identity(gone, item_key) or ""] = Told(gone, before, _EXAMPLE_TIMES)
    return Memory(clock.iso(now), told)


def with_example(job: RenderJob) -> RenderJob:
    """Let a sample of a batch with memory show all that there is, if no memory came with it."""
    key, fields = job.source.item_key, job.fields
    if key is None or job.memory is not None or not job.batch or not isinstance(fields, list):
        return job
    if not all(isinstance(one, dict) for one in fields):
        return job
    return msgspec.structs.replace(job, memory=example(fields, key))
