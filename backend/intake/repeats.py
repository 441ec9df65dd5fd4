"""Content that is new again after some time, where every template of a notification says ``repeat_after``.

Each time that it is new it is a notification of its own: the first has the id of the content, each later one an id
made of that and of how often the content was new before. So all who find at one moment that it is new make the same
id, and the database's uniqueness decides which of them is the first. The longest time of several templates counts.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import cast
from uuid import UUID

import msgspec
from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from backend.db.driver import Insert
from backend.db.models.notifications import ContentRepeat, Notification, PastNotification
from backend.intake.content import Content, Occurrence
from backend.intake.validate import Registered
from backend.lib import clock, durations, ids, settings

_REMEMBER = Insert(
    cast("Table", ContentRepeat.__table__),
    ("uid", "latest", "number", "accepted_at"),
    "ON CONFLICT (uid) DO UPDATE SET latest = excluded.latest, number = excluded.number,"
    " accepted_at = excluded.accepted_at",
)
# A notification, how often its content was new before, and when it was accepted if that is known.
_Known = tuple[UUID, int, datetime | None]


def at_present(session: Session, contents: Sequence[Content], named: Mapping[int, Registered]) -> list[Content]:
    """Give contents the identities that they have at this moment."""
    periods: dict[UUID, timedelta] = {}
    for one in contents:
        period = _period(one, named[one.service_id]) if one.content_uid is not None else None
        if one.content_uid is not None and period is not None:
            periods[one.content_uid] = period
    if not periods:
        return list(contents)
    found = _occurrences(session, periods)
    return [
        msgspec.structs.replace(one, uid=found[one.content_uid].uid, occurrence=found[one.content_uid])
        if one.content_uid in found
        else one
        for one in contents
    ]


def remember(session: Session, accepted: Collection[Content], moment: datetime) -> None:
    """Write down which notification is the newest of its content, in the transaction that stores it."""
    rows = [
        {
            "uid": one.content_uid,
            "latest": one.uid,
            "number": one.occurrence.number,
            "accepted_at": moment,
        }
        for one in accepted
        if one.occurrence is not None
    ]
    # In one order, so that no two transactions wait for each other.
    _REMEMBER.send(session, sorted(rows, key=lambda row: str(row["uid"])))


def _period(one: Content, registered: Registered) -> timedelta | None:
    """Return after how long a content is new again; None where one of its templates says nothing of it."""
    longest = timedelta()
    for channel in one.notification.channels if one.notification else ():
        template = registered.templates.get(channel.template_id)
        if template is None or template.repeat_after is None:
            return None
        longest = max(longest, durations.read(template.repeat_after))
    return longest or None


def _occurrences(session: Session, periods: Mapping[UUID, timedelta]) -> dict[UUID, Occurrence]:
    """Find for each content, by its own id, which notification it is now."""
    columns = (ContentRepeat.uid, ContentRepeat.latest, ContentRepeat.number, ContentRepeat.accepted_at)
    newest = session.execute(select(*columns).where(ContentRepeat.uid.in_(periods)))
    known: dict[UUID, _Known] = {uid: (latest, number, at) for uid, latest, number, at in newest}
    asked: dict[UUID, _Known] = {uid: known.get(uid, (uid, 0, None)) for uid in periods}
    found: dict[UUID, Occurrence] = {}
    now = clock.now()
    while asked:
        moments = _accepted(session, [latest for latest, _, at in asked.values() if at is None])
        late: dict[UUID, _Known] = {}
        for uid, (latest, number, at) in asked.items():
            accepted = at or moments.get(latest)
            if accepted is None or now < accepted + periods[uid]:
                again = accepted + periods[uid] if accepted else None
                found[uid] = Occurrence(latest, number, again)
            else:
                late[uid] = (ids.repeated_notification_id(uid, number + 1), number + 1, None)
        asked = late
    return found


def _accepted(session: Session, uids: Collection[UUID]) -> dict[UUID, datetime]:
    """Return when notifications were accepted, those that were; of one that is gone, the latest that it can have been.

    A day is known on which that one had been at its end for as long as such are kept.
    """
    if not uids:
        return {}
    kept = timedelta(days=settings.current().retention_days)
    past = select(PastNotification.uid, PastNotification.day).where(PastNotification.uid.in_(uids))
    gone = {uid: datetime.combine(day, time.max, UTC) - kept for uid, day in session.execute(past)}
    columns = (Notification.uid, Notification.accepted_at)
    there = session.execute(select(*columns).where(Notification.uid.in_(uids), Notification.accepted_at.is_not(None)))
    return gone | {uid: at for uid, at in there if at is not None}
