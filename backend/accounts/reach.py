"""Whom a service reaches that is held to its team: its members, and the guests that it lists."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.channels import simulator
from backend.channels.addresses import normalise
from backend.channels.base import Channel
from backend.db.models.accounts import ApiClient, Guest, Membership, Mode, User
from backend.db.statements import insert
from backend.db.types import opened
from backend.lib import settings
from backend.lib.problems import Problem

MOST_GUESTS = 1_000


class Manner(msgspec.Struct, frozen=True):
    """How a client's messages are sent: whom they reach, and the one address that gets all of them instead, if any."""

    mode: Mode = Mode.LIVE
    redirect: str | None = None

    @property
    def apart(self) -> str:
        """Tell it from others in the identity of what is sent; empty for what goes to everybody it is meant for."""
        if self.redirect is not None:
            return f"{self.mode.value} {self.redirect}"
        return "" if self.mode is Mode.LIVE else self.mode.value

    def __repr__(self) -> str:
        """Leave out the redirect, which may be a secret URL."""
        return f"Manner(mode={self.mode.value!r})"


def manner(client: ApiClient) -> Manner:
    """Return how a client's messages are sent."""
    return Manner(Mode(client.mode), client.redirect)


class Reach(msgspec.Struct, frozen=True):
    """The addresses that a service reaches: those of its members in lower case, their numbers, and its guests."""

    mails: frozenset[str]
    numbers: frozenset[str]
    guests: frozenset[tuple[str, str]]

    def has(self, channel: Channel, address: str) -> bool:
        """Tell whether an address in canonical form may be sent to; the simulator's reach nobody, and always may."""
        if channel is Channel.EMAIL and address.lower() in self.mails:
            return True
        if channel is Channel.SMS and address in self.numbers:
            return True
        return (channel.value, opened(address)) in self.guests or simulator.is_address(channel, address)


def of_team(session: Session, service_id: int) -> Reach:
    """Read whom a service reaches while it is held to its team."""
    members = select(User.email, User.mobile).join(Membership, Membership.user_id == User.id)
    rows = session.execute(members.where(Membership.service_id == service_id)).all()
    guests = session.execute(select(Guest.type, Guest.address).where(Guest.service_id == service_id)).all()
    return Reach(
        frozenset(row.email.lower() for row in rows),
        frozenset(row.mobile for row in rows if row.mobile),
        frozenset((kind, address) for kind, address in guests),
    )


def guests(session: Session, service_id: int) -> Sequence[Guest]:
    """List the guests of a service, oldest first."""
    return session.scalars(select(Guest).where(Guest.service_id == service_id).order_by(Guest.id)).all()


def add_guest(session: Session, service_id: int, channel: str, address: str, by: str) -> str:
    """Add a guest, unless it is one already; return its address in canonical form.

    Raises:
        Problem: ``invalid_value`` for a channel that there is not, ``invalid_address``, ``in_use`` if there are a
            thousand already.
    """
    if channel not in set(Channel):
        raise Problem("invalid_value", "Choose one of the channels.")
    canonical = normalise(Channel(channel), address, settings.current().outbound_allow)
    if len(guests(session, service_id)) >= MOST_GUESTS:
        raise Problem("in_use", f"A service lists at most {MOST_GUESTS:,} guests. Remove one first.")
    row = {"service_id": service_id, "type": channel, "address": canonical, "added_by": by}
    session.execute(insert(session, Guest).values(**row).on_conflict_do_nothing())
    return canonical


def remove_guest(session: Session, service_id: int, guest_id: int) -> Guest:
    """Take a guest off the list.

    Raises:
        Problem: ``not_found`` if the service has no such guest.
    """
    row = session.get(Guest, guest_id)
    if row is None or row.service_id != service_id:
        raise Problem("not_found", "This service has no such guest.")
    session.delete(row)
    session.flush()
    return row
