"""How providers are: what came of their last attempts, and what holds one back, for all processes alike.

Both are kept in the database, and what holds one back is read with each claim. A provider in its usual state has no
row, or one that says nothing, and costs no write. An address that is itself the way (a webhook), a sender and a
recipient's domain are held back by themselves: what is wrong with one of them is not wrong with the others of its
channel.
"""

import enum
import logging
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast

import msgspec
from sqlalchemy import ColumnElement, CursorResult, Table, and_, bindparam, delete, func, or_, select, update
from sqlalchemy.orm import Session

from backend.channels.base import Channel, Provider
from backend.db import database as db
from backend.db import statements
from backend.db.models.providers import ProviderMinute, ProviderState
from backend.delivery.providers import routes
from backend.lib import backoff, clock, logs, settings
from backend.lib.ttl_cache import TtlCache

WINDOW = timedelta(minutes=5)
_WRITTEN_EVERY = timedelta(seconds=5)
_READ_EVERY = 2.0
_HEALTH_KEPT = timedelta(hours=2)
# A circuit opens after so many faults in a row, or when half of the last attempts failed.
_IN_A_ROW = 5
_LAST = 20
_minutes = cast("Table", ProviderMinute.__table__)
logger = logging.getLogger(__name__)
# Seconds.
LONGEST = {"throttled": 600.0, "config": 300.0, "broken": 300.0}
# How long one attempt at a provider that had faults keeps other processes from trying it too.
TRIAL = timedelta(seconds=30)
_KEPT = timedelta(days=1)


# How providers have done lately: counted in memory, written down every few seconds, read by all processes.
#
# The last attempts of this process open a provider's circuit; the minutes of all processes together make its weight.


class Health(msgspec.Struct, frozen=True):
    """Attempts within a span of time: those that came to an end, the messages taken, and the provider's own faults."""

    answered: int = 0
    accepted: int = 0
    faults: int = 0

    @property
    def share(self) -> float:
        """The part of the attempts that were not the provider's fault, from 0 to 1; few attempts say little."""
        return 1.0 if self.answered < _IN_A_ROW else 1 - self.faults / self.answered


class Tally:
    """This process's count, for all its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._last: dict[str, deque[bool]] = defaultdict(lambda: deque(maxlen=_LAST))
        self._written: datetime | None = None

    def note(self, provider: str, *, accepted: bool, fault: bool, count: int = 1) -> bool:
        """Count attempts of one kind; tell whether the provider fails so often that it is to be left alone."""
        with self._lock:
            counts, last = self._counts[provider], self._last[provider]
            counts["answered"] += count
            counts["accepted"] += count * accepted
            counts["faults"] += count * fault
            last.extend([fault] * count)
            if not fault:
                return False
            failing = all(list(last)[-_IN_A_ROW:]) if len(last) >= _IN_A_ROW else False
            failing = failing or sum(last) * 2 >= _LAST
            if failing:
                last.clear()
            return failing

    def is_due(self) -> bool:
        """Tell whether there is something to write down, and the last time was long enough ago."""
        now = clock.now()
        recently = self._written is not None and timedelta() <= now - self._written < _WRITTEN_EVERY
        return bool(self._counts) and not recently

    def write(self, session: Session) -> None:
        """Add what was counted since the last time to the present minute."""
        now = clock.now()
        with self._lock:
            counts, self._counts = self._counts, defaultdict(Counter)
            self._written = now
        for provider, count in sorted(counts.items()):
            row = {name: count[name] for name in ("answered", "accepted", "faults")}
            statement = statements.insert(session, ProviderMinute).values(
                provider=provider, minute=now.replace(second=0, microsecond=0), **row
            )
            added = {name: _minutes.c[name] + value for name, value in row.items()}
            session.execute(statement.on_conflict_do_update(index_elements=["provider", "minute"], set_=added))


def since(session: Session, span: timedelta) -> dict[str, Health]:
    """Sum up the last minutes of each provider, over all processes."""
    summed = (func.sum(_minutes.c.answered), func.sum(_minutes.c.accepted), func.sum(_minutes.c.faults))
    rows = session.execute(
        select(_minutes.c.provider, *summed).where(_minutes.c.minute > clock.now() - span).group_by(_minutes.c.provider)
    )
    return {provider: Health(*(int(figure) for figure in figures)) for provider, *figures in rows}


def _read() -> dict[str, Health]:
    with db.current().autocommit() as session:
        return since(session, WINDOW)


recent = TtlCache(_read, seconds=_READ_EVERY)


def purge_minutes(session: Session) -> None:
    """Delete minutes that nobody looks at any more."""
    session.execute(delete(_minutes).where(_minutes.c.minute < clock.now() - _HEALTH_KEPT))


def weights(healths: Iterable[Health]) -> list[float]:
    """Share the traffic between providers in order of preference; the weights sum up to 1.

    A provider in good health takes all that the ones before it left over. One that fails in half of its attempts is
    left a twentieth, from which its recovery is seen.
    """
    left, shares = 1.0, []
    for health in healths:
        part = min(max((health.share - 0.5) / 0.45, 0.05), 1.0)
        shares.append(left * part)
        left -= shares[-1]
    total = sum(shares)
    return [share / total for share in shares] if total else shares


# What holds a provider back, for all processes alike: kept in the database, and read with each claim.
#
# A provider in its usual state has no row, or one that says nothing, and costs no write. An address that is itself the
# way (a webhook), a sender and a recipient's domain are held back by themselves: what is wrong with one of them is not
# wrong with the others of its channel.


class Block(enum.StrEnum):
    """Why a provider, or one address of it, is held back."""

    NONE = ""
    PACING = "pace"
    THROTTLED = "throttled"
    CONFIG = "config"
    BROKEN = "broken"


# After these one message is tried before the others go on.
_TRIED_FIRST = {Block.CONFIG.value, Block.BROKEN.value}


class BlockState(msgspec.Struct, frozen=True):
    """One row of the state."""

    block: str
    until: datetime
    reason: str | None
    faults: int
    off: bool


class State(msgspec.Struct, frozen=True):
    """The state of a channel's providers by name, and of the addresses held back, at the moment ``at``."""

    at: datetime
    providers: dict[str, BlockState]
    destinations: dict[tuple[str, str], BlockState]

    def is_open(self, provider: str) -> bool:
        """Tell whether messages can go by a provider."""
        blocked = self.providers.get(provider)
        if blocked is None:
            return True
        return not blocked.off and blocked.block not in _TRIED_FIRST and blocked.until <= self.at

    def wants_trial(self, provider: str) -> bool:
        """Tell whether a provider that had faults may be tried with one message."""
        blocked = self.providers.get(provider)
        return blocked is not None and not blocked.off and blocked.block in _TRIED_FIRST and blocked.until <= self.at

    def blocked(self, provider: str, destination: str = "") -> BlockState | None:
        """Return the row of a provider, or of one of its destinations."""
        return self.destinations.get((provider, destination)) if destination else self.providers.get(provider)

    def faults(self, provider: str, destination: str = "") -> int:
        """Return how often it was held back since its last success."""
        blocked = self.blocked(provider, destination)
        return blocked.faults if blocked else 0


_state = cast("Table", ProviderState.__table__)
_ROW = (_state.c.provider, _state.c.destination, _state.c.block, _state.c.blocked_until, _state.c.reason)
_READ = select(*_ROW, _state.c.faults, _state.c.switched_off).where(
    _state.c.channel == bindparam("channel"),
    # A destination that was set up wrongly is remembered until it is well, so that one message tries it.
    or_(
        _state.c.destination == "",
        _state.c.blocked_until > bindparam("now"),
        and_(_state.c.block == Block.CONFIG.value, _state.c.destination.like(":%")),
    ),
)


def read(session: Session, channel: Channel) -> State:
    """Read the state of a channel's providers."""
    now = clock.now()
    state = State(now, {}, {})
    for provider, destination, *rest in session.connection().execute(_READ, {"channel": channel.value, "now": now}):
        if destination:
            state.destinations[provider, destination] = BlockState(*rest)
        else:
            state.providers[provider] = BlockState(*rest)
    return state


def reserve(session: Session, provider: Provider, destination: str, seconds: float) -> tuple[bool, BlockState]:
    """Take the next turn of an address that has an interval: whether it was free, and what holds it from now on."""
    now = clock.now()
    values = {"blocked_until": now + timedelta(seconds=seconds), "block": Block.PACING.value}
    taken = _upsert(session, provider, destination, values, values, _state.c.blocked_until <= now)
    columns = (_state.c.block, _state.c.blocked_until, _state.c.reason, _state.c.faults, _state.c.switched_off)
    row = session.execute(
        select(*columns).where(_state.c.provider == provider.name, _state.c.destination == destination)
    )
    return taken, BlockState(*row.one())


def block(session: Session, provider: Provider, destination: str, blocked: BlockState, *, seen: int) -> bool:
    """Hold a provider or one of its addresses back; tell whether nobody had done so for the same fault.

    ``seen`` are the faults that were counted when the attempt was begun: of several threads that meet with one fault
    the first one counts.
    """
    now = clock.now()
    told = {"block": blocked.block, "reason": blocked.reason, "last_fault": blocked.reason, "last_fault_at": now}
    values = told | {"blocked_until": blocked.until, "faults": seen + 1}
    free = or_(_state.c.blocked_until <= now, _state.c.block == Block.PACING.value, _state.c.faults == seen)
    first = _upsert(session, provider, destination, values, values, free)
    if first:
        level = logging.ERROR if blocked.block == Block.CONFIG else logging.WARNING
        fields: dict[str, logs.Value] = {"provider": provider.name, "why": blocked.block}
        fields["seconds"] = round((blocked.until - now).total_seconds(), 1)
        logs.event(logger, level, "An address is held back" if destination else "A provider is held back", fields)
    return first


def _upsert(  # noqa: PLR0913, PLR0917 - a row, and when it may be changed
    session: Session,
    provider: Provider,
    destination: str,
    new: dict[str, Any],
    changes: dict[str, Any],
    free: ColumnElement[bool],
) -> bool:
    row = {"faults": 0, "switched_off": False} | new
    row |= {"provider": provider.name, "channel": provider.channel.value, "destination": destination}
    statement = statements.insert(session, ProviderState).values(row)
    statement = statement.on_conflict_do_update(index_elements=["provider", "destination"], set_=changes, where=free)
    return session.execute(statement.returning(_state.c.id)).first() is not None


def pause(why: Block, faults: int, asked: float | None = None) -> float:
    """Return for how many seconds to hold back after so many faults before: twice as long each time, to a limit."""
    if asked is not None:
        return asked
    first = {
        Block.THROTTLED: 1.0,
        Block.CONFIG: 60.0,
        Block.BROKEN: min(max(settings.current().retry_base_seconds, 1.0), 30.0),
    }[why]
    return backoff.doubled(first, faults, LONGEST[why])


def take_trial(session: Session, provider: str, state: State) -> bool:
    """Be the one who tries a provider that had faults; the others wait until it is known how that went."""
    statement = (
        update(_state)
        .where(
            _state.c.provider == provider,
            _state.c.destination == "",
            _state.c.blocked_until == state.providers[provider].until,
        )
        .values(blocked_until=clock.now() + TRIAL)
    )
    return cast("CursorResult[Any]", session.execute(statement)).rowcount == 1


def end_trial(session: Session, provider: str) -> None:
    """Let another one try, since this trial did not come to the provider."""
    statement = update(_state).where(_state.c.provider == provider, _state.c.destination == "")
    session.execute(statement.values(blocked_until=clock.now()))


def recovered(session: Session, provider: str, destination: str) -> None:
    """Say that a provider, or one of its addresses, has answered as it should."""
    # An address keeps its interval, a provider may go on at once.
    free = {"block": Block.PACING.value} if destination else {"block": Block.NONE.value, "blocked_until": clock.now()}
    session.execute(
        update(_state)
        .where(_state.c.provider == provider, _state.c.destination == destination, _state.c.faults > 0)
        .values(faults=0, reason=None, **free)
    )


def switch(session: Session, provider: str, *, on: bool) -> None:
    """Switch a provider on or off by hand; one that is switched on is tried at once, whatever it was blocked for.

    Raises:
        LookupError: if the settings have no provider of this name.
    """
    now = clock.now()
    channel = next((one.channel for group in routes.routes().values() for one in group if one.name == provider), None)
    if channel is None:
        raise LookupError(provider)
    fresh = {"block": Block.NONE.value, "blocked_until": now, "reason": None, "faults": 0, "switched_off": not on}
    changed = session.execute(
        update(_state).where(_state.c.provider == provider, _state.c.destination == "").values(**fresh)
    )
    if not cast("CursorResult[Any]", changed).rowcount and not on:
        session.add(ProviderState(provider=provider, channel=channel.value, destination="", **fresh))


def purge_addresses(session: Session) -> None:
    """Delete the rows of addresses that have not been held back for a day."""
    old = and_(_state.c.destination != "", _state.c.blocked_until < clock.now() - _KEPT)
    session.execute(delete(_state).where(old))
