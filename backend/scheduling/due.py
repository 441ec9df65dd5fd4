"""What becomes of the messages of one channel when they are due, as the registry stands at that moment."""

from collections.abc import Collection, Sequence
from uuid import UUID

import msgspec

from backend.db.models.notifications import DeliveryStatus
from backend.db.types import opened
from backend.registry.lookup import Addresses, FoundTemplate
from backend.scheduling.content import Part

_REPLACED = "its recipient has other addresses now, and they get it instead."


class Row(msgspec.Struct, frozen=True):
    """A delivery that is due; of a BATCH notification the place of one recipient, without an address."""

    id: int
    notification_id: int
    service_id: int
    priority: int
    channel_index: int
    type: str
    recipients: list[str]
    address: str
    error: str | None
    matter_id: UUID | None
    mode: str


class Ended(msgspec.Struct, frozen=True):
    """A delivery that goes no further, and why."""

    row: Row
    status: DeliveryStatus
    why: str


class Decided(msgspec.Struct, frozen=True):
    """What goes to the queue, what ends, and the addresses that have come to the recipients since, with those names."""

    queued: list[Row]
    ended: list[Ended]
    added: dict[str, list[str]]


def decide(rows: Sequence[Row], part: Part, template: FoundTemplate | None, addresses: Addresses) -> Decided:
    """Decide about the messages that are due of one channel: they go to the addresses that their recipients have now.

    Recipients of whom nothing is due here are not looked at.
    """
    if template is None:
        why = f"The template {part.template_id} is no longer registered."
        return Decided([], [Ended(row, DeliveryStatus.FAILED, why) for row in rows], {})
    names = {name for row in rows for name in row.recipients}
    targets = _targets([name for name in part.recipient if name in names], part.type, addresses)
    queued = [row for row in rows if row.address in targets]
    reached = {name for found in targets.values() for name in found}
    ended = [_end(row, reached) for row in rows if row.address not in targets]
    had = {row.address for row in rows}
    return Decided(queued, ended, {address: found for address, found in targets.items() if address not in had})


def _end(row: Row, reached: Collection[str]) -> Ended:
    lost = [name for name in row.recipients if name not in reached]
    if not lost:
        return Ended(row, DeliveryStatus.CANCELLED, _REPLACED)
    return Ended(row, DeliveryStatus.FAILED, f"The recipient {lost[0]} has no {row.type} endpoint any more.")


def _targets(names: Sequence[str], kind: str, addresses: Addresses) -> dict[str, list[str]]:
    """List each address once, with the recipients that share it."""
    found: dict[str, list[str]] = {}
    for name in names:
        for one in addresses.get(name, ()):
            if one.type == kind:
                found.setdefault(opened(one.address), []).append(name)
    return found
