"""Whose deliveries are next: of each channel and priority the services with something due take turns.

Every look is a step down the index of what waits, from one service to the next, so that its cost grows neither with
the backlog nor with what was sent long ago. That index begins with channel, priority and service.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from typing import cast

from sqlalchemy import CTE, ColumnElement, Connection, Select, Table, and_, bindparam, exists, select
from sqlalchemy.orm import Session

from backend.channels.base import Channel
from backend.db.models.notifications import WAITING, Delivery, Priority
from backend.db.statements import one_of
from backend.lib import clock

# So many services share one claim; the next claim goes on behind the last of them.
_SHARING = 5

_deliveries = cast("Table", Delivery.__table__)
_IN_QUEUE = (
    one_of(_deliveries.c.status, WAITING),
    _deliveries.c.type == bindparam("channel"),
    _deliveries.c.priority == bindparam("priority"),
)
# One that is to be tried again still belongs to its worker until what follows from the last attempt is written.
_IS_DUE = and_(_deliveries.c.due_at <= bindparam("now"), _deliveries.c.claimed_by.is_(None))


def _next_service(after: ColumnElement[int]) -> Select[int]:
    return (
        select(_deliveries.c.service_id)
        .where(*_IN_QUEUE, _deliveries.c.service_id > after)
        .order_by(_deliveries.c.service_id)
        .limit(1)
    )


def _services() -> CTE:
    """List the services with something waiting: from each of them the index is searched for the next."""
    first = select(_next_service(bindparam("after", type_=_deliveries.c.service_id.type)).scalar_subquery().label("id"))
    walk = first.cte("walk", recursive=True)
    step = _next_service(walk.c.id).correlate(walk).scalar_subquery()
    return walk.union_all(select(step).where(walk.c.id.is_not(None)))


_WALK = _services()
_HAS_DUE = exists().where(*_IN_QUEUE, _IS_DUE, _deliveries.c.service_id == _WALK.c.id).correlate(_WALK)
_NEXT_SERVICES = select(_WALK.c.id).where(_WALK.c.id.is_not(None), _HAS_DUE).limit(bindparam("most"))
_DUE = (
    select(_deliveries.c.id)
    .where(*_IN_QUEUE, _IS_DUE, _deliveries.c.service_id == bindparam("service"))
    .order_by(_deliveries.c.due_at, _deliveries.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)


def _channels() -> Select[str]:
    """List the channels with something waiting, in the same way."""
    waits, kind = one_of(_deliveries.c.status, WAITING), _deliveries.c.type
    first = select(select(kind).where(waits).order_by(kind).limit(1).scalar_subquery().label("name"))
    walk = first.cte("kinds", recursive=True)
    step = select(kind).where(waits, kind > walk.c.name).order_by(kind).limit(1).correlate(walk).scalar_subquery()
    whole = walk.union_all(select(step).where(walk.c.name.is_not(None)))
    return select(whole.c.name).where(whole.c.name.is_not(None))


_CHANNELS = _channels()


class FairScheduler:
    """Remembers for this process which service had the last turn.

    ``most`` says how many deliveries of a service are worth claiming at once, of so many.
    """

    def __init__(self, most: Callable[[int, Priority, int], int] = lambda _service, _priority, limit: limit) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._last: dict[tuple[Channel, Priority], int] = {}

    def take(self, connection: Connection, channel: Channel, priority: Priority, limit: int) -> list[int]:
        """Choose up to ``limit`` due deliveries, shared between the services whose turn it is."""
        queue = {"channel": channel.value, "priority": priority.value, "now": clock.now()}
        services = self._services(connection, channel, priority)
        taken: list[int] = []
        for number, service in enumerate(services):
            share = -(-(limit - len(taken)) // (len(services) - number))
            if share:
                worth = self._most(service, priority, share)
                if worth:
                    taken += connection.execute(_DUE, queue | {"service": service, "most": worth}).scalars().all()
                self._had(channel, priority, service, alone=len(services) == 1)
        return taken

    def _services(self, connection: Connection, channel: Channel, priority: Priority) -> Sequence[int]:
        queue = {"channel": channel.value, "priority": priority.value, "now": clock.now()}
        with self._lock:
            last = self._last.get((channel, priority), 0)
        found = list(connection.execute(_NEXT_SERVICES, queue | {"after": last, "most": _SHARING}).scalars())
        if last and len(found) < _SHARING:
            again = connection.execute(_NEXT_SERVICES, queue | {"after": 0, "most": _SHARING - len(found)}).scalars()
            found += [service for service in again if service <= last]
        return found

    def _had(self, channel: Channel, priority: Priority, service: int, *, alone: bool) -> None:
        """Remember whose turn it was; who is alone begins from the front, which saves a look."""
        with self._lock:
            self._last[channel, priority] = 0 if alone else service


def waiting(session: Session, priorities: Collection[Priority]) -> list[Channel]:
    """List the channels that have something due in one of the priorities."""
    connection, now = session.connection(), clock.now()

    def any_due(channel: Channel, priority: Priority) -> bool:
        queue = {"channel": channel.value, "priority": priority.value, "now": now, "after": 0, "most": 1}
        return connection.execute(_NEXT_SERVICES, queue).first() is not None

    channels = [Channel(name) for name in connection.execute(_CHANNELS).scalars()]
    return [channel for channel in channels if any(any_due(channel, priority) for priority in sorted(priorities))]
