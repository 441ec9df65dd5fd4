"""What is held back: since when and why, and how much by kind, channel, service and age."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from backend.db.models.accounts import Service
from backend.db.models.installation import HeldKind, Installation
from backend.lib import clock
from backend.restored import rows
from backend.restored.rows import Wanted

_AGES = (
    ("up to 1 hour", timedelta(hours=1)),
    ("up to 1 day", timedelta(days=1)),
    ("up to 7 days", timedelta(days=7)),
)
_OLDER = "older"


class Group(msgspec.Struct, frozen=True):
    """So much of one kind, channel and service, with how much of it is of which age and when the oldest came."""

    kind: str
    channel: str
    service: str
    count: int
    ages: Mapping[str, int]
    oldest_at: datetime


class Held(msgspec.Struct, frozen=True):
    """What is held back; ``since`` and ``why`` are there while the database is held."""

    since: datetime | None
    why: str | None
    groups: list[Group]

    @property
    def total(self) -> int:
        """Count everything."""
        return sum(group.count for group in self.groups)


def since(session: Session) -> datetime | None:
    """Return since when the database is held, if it is: a look at one row."""
    found: datetime | None = session.scalar(select(Installation.held_at).limit(1))
    return found


def held(session: Session, wanted: Wanted = Wanted()) -> Held:  # noqa: B008 - it is immutable
    """Report what is held back of what is wanted."""
    itself = session.execute(select(Installation.held_at, Installation.held_why).limit(1)).one_or_none()
    if itself is None or itself.held_at is None:
        return Held(None, None, [])
    groups = [group for kind in HeldKind for group in _groups(session, kind, wanted)]
    return Held(itself.held_at, itself.held_why, groups)


def _groups(session: Session, kind: HeldKind, wanted: Wanted) -> list[Group]:
    found = rows.still_held(kind).subquery()
    now = clock.now()
    age = case(*((found.c.since >= now - span, name) for name, span in _AGES), else_=_OLDER).label("age")
    aged = (
        select(found.c.channel, Service.name, age, found.c.since)
        .join(Service, Service.id == found.c.service_id)
        .where(wanted.among(found))
        .subquery()
    )
    keys = (aged.c.channel, aged.c.name, aged.c.age)
    statement = select(*keys, func.count(), func.min(aged.c.since)).group_by(*keys).order_by(*keys)
    by_group: dict[tuple[str, str], dict[str, tuple[int, datetime]]] = {}
    for channel, service, name, count, oldest in session.execute(statement):
        by_group.setdefault((channel, service), {})[name] = (count, oldest)
    names = [name for name, _ in _AGES] + [_OLDER]
    return [
        Group(
            kind=kind.value,
            channel=channel,
            service=service,
            count=sum(count for count, _ in ages.values()),
            ages={name: ages[name][0] if name in ages else 0 for name in names},
            oldest_at=min(oldest for _, oldest in ages.values()),
        )
        for (channel, service), ages in by_group.items()
    ]
