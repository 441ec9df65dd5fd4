"""Where what has failed would go now: the present addresses of its recipients, beside the one that failed.

A message to a recipient group is meant for the group: if its address was mended meanwhile, the new one gets the
message in the old one's place. A message that was sent to an address itself goes to that address.
"""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

import msgspec
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from backend.accounts import reach
from backend.accounts.reach import Reach
from backend.channels.base import Channel
from backend.db.models.accounts import Mode
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.db.models.registry import Template, TemplateVersion
from backend.db.types import opened
from backend.registry import lookup, suppressions
from backend.registry.owned import is_identifier
from backend.registry.suppressions import SuppressionRecord

# A statement takes so many parameters.
_AT_ONCE = 1000


class Why(StrEnum):
    """Why a message does not go again."""

    SUPPRESSED = "suppressed"  # every address that it could go to is
    NO_ADDRESS = "no_address"  # its recipient is deleted, or has no address of this channel that it could go to
    REACHED = "reached"  # every present address of its recipient has got this message, or is about to


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """An address that a message would go to; ``same`` tells that it is the one that failed."""

    address: str
    same: bool
    suppressed: SuppressionRecord | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of one failed delivery, given by its row and public id.

    ``targets`` are the addresses that have not got the message yet; those that are suppressed are left out when it is
    sent. ``instead`` is the row of a delivery that takes its place and is there already; ``shared`` are addresses that
    get the message in the place of another one that has failed as well. ``why`` is set where nothing goes.
    """

    delivery: Delivery
    targets: tuple[Target, ...]
    instead: int | None = None
    shared: tuple[Target, ...] = ()
    why: Why | None = None

    @property
    def going(self) -> list[Target]:
        """Return the targets that are not suppressed."""
        return [one for one in self.targets if one.suppressed is None]


_Slot = tuple[int | None, int | None, int | None, str]


class _Other(msgspec.Struct, frozen=True):
    """Another delivery of the same notification or batch, and what it is at."""

    id: int
    status: str
    superseded: bool


def failed(wanted: ColumnElement[bool]) -> ColumnElement[bool]:
    """Tell which of the deliveries have failed and are claimed by nobody."""
    return wanted & (Delivery.status == DeliveryStatus.FAILED.value) & Delivery.claimed_by.is_(None)


def plans(session: Session, service_id: int, deliveries: Sequence[Delivery]) -> list[Plan]:
    """Say where each of a service's failed deliveries would go now, in their order."""
    if not deliveries:
        return []
    groups = lookup.recipients(session, service_id, {name for one in deliveries for name in one.recipients})
    fixed = _fixed(session, service_id, deliveries)
    present = {one.id: [one.address] if _stays(one, fixed) else _present(one, groups) for one in deliveries}
    if any(one.mode == Mode.TEAM for one in deliveries):
        team = reach.of_team(session, service_id)
        present |= {one.id: _within_reach(team, one, present[one.id]) for one in deliveries if one.mode == Mode.TEAM}
    stopped = _stopped(session, service_id, deliveries, present)
    known = _Known(_others(session, deliveries), stopped, present.keys())
    taken: set[_Slot] = set()
    found = []
    for one in deliveries:
        plan = _once(_plan(one, present[one.id], known), taken)
        taken |= {_slot(one, target.address) for target in plan.targets}
        found.append(plan)
    return found


def _stays(one: Delivery, fixed: Collection[int]) -> bool:
    """Tell whether a message is for its address and no other: what is redirected never goes to whom it is meant for."""
    return one.id in fixed or one.meant_for is not None


def _within_reach(team: Reach, one: Delivery, addresses: Sequence[str]) -> list[str]:
    """Leave out the addresses that the team does not have."""
    return [address for address in addresses if team.has(Channel(one.type), address)]


def _once(plan: Plan, taken: Collection[_Slot]) -> Plan:
    """Leave out what another plan sends: of two failed addresses of a group, one new one gets the message once."""
    own: list[Target] = []
    shared: list[Target] = []
    for target in plan.targets:
        is_taken = not target.same and _slot(plan.delivery, target.address) in taken
        (shared if is_taken else own).append(target)
    if not shared:
        return plan
    why = plan.why or (None if any(one.suppressed is None for one in own) else Why.REACHED)
    return msgspec.structs.replace(plan, targets=tuple(own), shared=tuple(shared), why=why)


def _present(one: Delivery, groups: lookup.Addresses) -> list[str]:
    """List the present addresses of a delivery's recipients; one that is no group is meant as it is."""
    found: list[str] = []
    for name in one.recipients:
        if name in groups:
            found += [opened(endpoint.address) for endpoint in groups[name] if endpoint.type == one.type]
        elif name == one.address or not is_identifier(name):
            found.append(one.address)
    return list(dict.fromkeys(found if one.recipients else [one.address]))


def _fixed(session: Session, service_id: int, deliveries: Sequence[Delivery]) -> set[int]:
    """Find those that are meant for their address: Carillon's own messages, such as a test of one address."""
    wanted = {one.template_version_id for one in deliveries}
    own = (
        select(TemplateVersion.id)
        .join(Template, Template.id == TemplateVersion.template_id)
        .where(TemplateVersion.id.in_(wanted), Template.service_id != service_id)
    )
    versions = set(session.scalars(own))
    return {one.id for one in deliveries if one.template_version_id in versions}


def _slot(one: Delivery, address: str) -> _Slot:
    return one.notification_id, one.batch_id, one.channel_index, address


def _others(session: Session, deliveries: Sequence[Delivery]) -> dict[_Slot, _Other]:
    """Read what there is in the notifications and batches of these deliveries."""
    columns = (
        Delivery.notification_id,
        Delivery.batch_id,
        Delivery.channel_index,
        Delivery.address,
        Delivery.id,
        Delivery.status,
        Delivery.superseded_by,
    )
    notifications = {one.notification_id for one in deliveries} - {None}
    batches = {one.batch_id for one in deliveries} - {None}
    found: dict[_Slot, _Other] = {}
    for column, identities in ((Delivery.notification_id, notifications), (Delivery.batch_id, batches)):
        if identities:
            for row in session.execute(select(*columns).where(column.in_(identities))):
                found[row[0], row[1], row[2], row[3]] = _Other(row[4], row[5], row[6] is not None)
    return found


def _stopped(
    session: Session, service_id: int, deliveries: Sequence[Delivery], present: Mapping[int, Collection[str]]
) -> dict[tuple[str, str], SuppressionRecord]:
    by_channel: dict[str, set[str]] = {}
    for one in deliveries:
        by_channel.setdefault(one.type, set()).update(present[one.id])
    found: dict[tuple[str, str], SuppressionRecord] = {}
    for channel, addresses in by_channel.items():
        ordered = sorted(addresses)
        for begin in range(0, len(ordered), _AT_ONCE):
            some = ordered[begin : begin + _AT_ONCE]
            records = suppressions.records(session, service_id, Channel(channel), some)
            found |= {(channel, address): record for address, record in records.items()}
    return found


class _Known(msgspec.Struct, frozen=True):
    """What plans are made with: all deliveries there are, the suppressed addresses, and which rows are planned."""

    others: Mapping[_Slot, _Other]
    stopped: Mapping[tuple[str, str], SuppressionRecord]
    planned: Collection[int]


def _plan(one: Delivery, present: Sequence[str], known: _Known) -> Plan:
    still = one.address in present
    targets: list[Target] = []
    instead: int | None = None
    for address in present:
        other = known.others.get(_slot(one, address))
        same = address == one.address
        if same or other is None or other.superseded or _takes_over(other, known, still=still):
            suppressed = known.stopped.get((one.type, address))
            targets.append(Target(address=address, same=same, suppressed=suppressed))
        elif instead is None and not still and other.status != DeliveryStatus.CANCELLED.value:
            instead = other.id  # it has gone, or goes again by itself
    if targets:
        why = Why.SUPPRESSED if all(target.suppressed for target in targets) else None
        return Plan(delivery=one, targets=tuple(targets), why=why)
    return Plan(delivery=one, targets=(), instead=instead, why=Why.NO_ADDRESS if instead is None else Why.REACHED)


def _takes_over(other: _Other, known: _Known, *, still: bool) -> bool:
    """Tell whether a failed message that nobody asked to send again goes in the place of one whose address is gone."""
    return not still and other.status == DeliveryStatus.FAILED.value and other.id not in known.planned
