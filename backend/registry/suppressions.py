"""Suppressed addresses: those that bounced for good or whose reader complained get nothing more from the service."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Literal, cast

import msgspec
from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.orm import Session

from backend.channels.addresses import normalise
from backend.channels.base import Channel
from backend.channels.records import SUPPRESSIBLE
from backend.db.models.receipts import RejectionDay, Suppression
from backend.db.statements import insert
from backend.lib import clock, keyring
from backend.lib.problems import Problem

_LETTERS = 32  # of the digest: 128 bits
# Names under .invalid belong to nobody (RFC 6761, section 6.4).
_DOMAIN = "@erased.invalid"
Reason = Literal["bounced", "complained", "by_hand"]
_MAX_ADDRESS = 320
_MAX_DETAIL = 1000
_DAYS_OF_REJECTION = 3
_REJECTIONS_COUNT = timedelta(days=60)
_IN_FORCE = select(Suppression.address).where(
    Suppression.service_id == bindparam("service"),
    Suppression.channel == bindparam("channel"),
    Suppression.address.in_(bindparam("addresses", expanding=True)),
    Suppression.freed_at.is_(None),
)
_AMONG = select(Suppression.service_id, Suppression.address).where(
    Suppression.service_id.in_(bindparam("services", expanding=True)),
    Suppression.channel == bindparam("channel"),
    Suppression.address.in_(bindparam("addresses", expanding=True)),
    Suppression.freed_at.is_(None),
)


# What stands in place of an address that was erased: the same for the same address, and telling it to nobody.
#
# It is a keyed digest, so that whoever has the database but not the secret key cannot try addresses out.


def pseudonym(address: str) -> str:
    """Return what an address in canonical form is replaced by under the present key."""
    return pseudonyms(address)[0]


def pseudonyms(address: str) -> list[str]:
    """Return all that may stand in its place, one for each key in use, the present one's first."""
    end = _DOMAIN if "@" in address else ""
    found = keyring.digests("erased", address.partition(";")[0].strip().casefold())
    return [f"erased-{digest[:_LETTERS]}{end}" for digest in found]


class SuppressionRecord(msgspec.Struct, frozen=True):
    """A suppressed address; ``reason`` is ``bounced``, ``complained`` or ``by_hand``, ``since`` is in UTC."""

    channel: Channel
    address: str
    reason: Reason
    detail: str
    since: datetime


def suppressed(session: Session, service_id: int, channel: Channel, addresses: Collection[str]) -> set[str]:
    """Return those of the addresses, in canonical form, that the service sends nothing to."""
    if not addresses:
        return set()
    known = _names(addresses)
    wanted = {"service": service_id, "channel": channel.value, "addresses": list(known)}
    return {known[found] for found in session.connection().execute(_IN_FORCE, wanted).scalars()}


def _names(addresses: Collection[str]) -> dict[str, str]:
    """Map what suppressions may have of addresses to these: an address that was erased goes by its pseudonym."""
    names = {name: address for address in addresses for name in pseudonyms(address)}
    return names | {address: address for address in addresses}


def records(
    session: Session, service_id: int, channel: Channel, addresses: Collection[str]
) -> dict[str, SuppressionRecord]:
    """Return what is known of those of the addresses, in canonical form, that the service sends nothing to."""
    if channel not in SUPPRESSIBLE or not addresses:
        return {}
    own = (Suppression.service_id == service_id, Suppression.channel == channel.value, Suppression.freed_at.is_(None))
    known = _names(addresses)
    rows = session.scalars(select(Suppression).where(*own, Suppression.address.in_(known)))
    return {known[row.address]: _record(row) for row in rows}


def among(session: Session, channel: Channel, pairs: Collection[tuple[int, str]]) -> set[tuple[int, str]]:
    """Return those pairs of a service and an address in canonical form of which the service sends nothing there."""
    if channel not in SUPPRESSIBLE or not pairs:
        return set()
    services, known = {service for service, _ in pairs}, _names({address for _, address in pairs})
    wanted = {"services": list(services), "channel": channel.value, "addresses": list(known)}
    rows = session.connection().execute(_AMONG, wanted)
    return {(row.service_id, known[row.address]) for row in rows}


def sentence(address: str) -> str:
    """Say why a delivery to a suppressed address is not sent."""
    return f"Not sent: {address} is suppressed for this service. Free it there once it is known to work again."


def suppress(  # noqa: PLR0913 - what a suppression is made of, each named at the call
    session: Session,
    service_id: int,
    channel: Channel,
    address: str,
    *,
    reason: Reason,
    detail: str = "",
) -> bool:
    """Suppress an address in canonical form; tell whether it was free before, so that the caller's audit tells it."""
    if len(address) > _MAX_ADDRESS or suppressed(session, service_id, channel, [address]):
        return False
    values = {"reason": reason, "detail": detail[:_MAX_DETAIL], "since": clock.now(), "freed_at": None}
    statement = insert(session, Suppression).values(
        service_id=service_id, channel=channel.value, address=address, **values
    )
    key = ["service_id", "channel", "address"]
    session.execute(statement.on_conflict_do_update(index_elements=key, set_=values))
    return True


def reject(session: Session, service_id: int, channel: Channel, address: str, detail: str) -> bool:
    """Note that an address was refused for good by a server that does not say why.

    Tell whether that was on the third day, so that it is suppressed now: no policy of a day or fault of ours lasts as
    long in one server's eyes only.
    """
    if len(address) > _MAX_ADDRESS:
        return False
    own = {"service_id": service_id, "channel": channel.value, "address": address}
    session.execute(insert(session, RejectionDay).values(**own, day=clock.today()).on_conflict_do_nothing())
    since = clock.today() - _REJECTIONS_COUNT
    days = select(func.count()).select_from(RejectionDay).filter_by(**own).where(RejectionDay.day > since)
    if (session.scalar(days) or 0) < _DAYS_OF_REJECTION:
        return False
    return suppress(session, service_id, channel, address, reason="bounced", detail=f"Refused on three days: {detail}")


def purge_rejections(session: Session) -> None:
    """Delete the days that count no more."""
    session.execute(delete(RejectionDay).where(RejectionDay.day <= clock.today() - _REJECTIONS_COUNT))


def free(session: Session, service_id: int, channel: str, address: str) -> str:
    """Let an address be sent to again; return its canonical form, for the caller's audit.

    Raises:
        Problem: ``not_found`` if the service has not suppressed it.
    """
    row = session.scalar(
        select(Suppression)
        .where(
            Suppression.service_id == service_id,
            Suppression.channel == channel,
            Suppression.address.in_(_names([_canonical(channel, address)])),
            Suppression.freed_at.is_(None),
        )
        .with_for_update()
    )
    if row is None:
        raise Problem("not_found", "This service has not suppressed this address on this channel.")
    row.freed_at = clock.now()
    session.execute(delete(RejectionDay).filter_by(service_id=service_id, channel=row.channel, address=row.address))
    session.flush()
    return row.address


def _canonical(channel: str, address: str) -> str:
    try:
        return normalise(Channel(channel), address)
    except (ValueError, Problem):
        return address


def page(
    session: Session, service_id: int, limit: int, after: int | None = None
) -> list[tuple[int, SuppressionRecord]]:
    """Return the suppressed addresses with their rows' ids, the latest first, ``limit`` of them behind ``after``."""
    wanted = select(Suppression).where(Suppression.service_id == service_id, Suppression.freed_at.is_(None))
    if after is not None:
        wanted = wanted.where(Suppression.id < after)
    rows = session.scalars(wanted.order_by(Suppression.id.desc()).limit(limit))
    return [(row.id, _record(row)) for row in rows]


def _record(row: Suppression) -> SuppressionRecord:
    return SuppressionRecord(Channel(row.channel), row.address, cast("Reason", row.reason), row.detail, row.since)
