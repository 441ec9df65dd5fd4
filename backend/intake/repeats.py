"""The same thing twice: keys that clients give their requests, and contents that are new again after a while."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import cast
from uuid import UUID

import msgspec
from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from backend.db import database as db
from backend.db.driver import Insert
from backend.db.models.notifications import ContentRepeat, IdempotencyKey, Notification, PastNotification
from backend.intake.content import Content, Occurrence, Submission
from backend.intake.entries import Accepted, Entry, IntakeResult, Refused
from backend.intake.validate import Registered
from backend.lib import clock, durations, ids, settings
from backend.lib.problems import FieldError, Problem
from backend.obligations import contents

_REMEMBER_KEY = Insert(
    cast("Table", IdempotencyKey.__table__), ("uid", "day", "content_digest"), "ON CONFLICT (uid) DO NOTHING"
)
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_REMEMBER = Insert(
    cast("Table", ContentRepeat.__table__),
    ("uid", "latest", "number", "accepted_at"),
    "ON CONFLICT (uid) DO UPDATE SET latest = excluded.latest, number = excluded.number,"
    " accepted_at = excluded.accepted_at",
)
# A notification, how often its content was new before, and when it was accepted if that is known.
_Known = tuple[UUID, int, datetime | None]


# Keys by which clients say themselves what is the same: the same key with other content is refused.


def read_key(given: Sequence[str]) -> str | None:
    """Return the key of ``Idempotency-Key`` headers; written as a string of RFC 8941, with quotes, or bare.

    Raises:
        Problem: for one that cannot be used, or for several.
    """
    if not given:
        return None
    key = given[0].strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if len(given) > 1 or not _KEY.fullmatch(key):
        detail = "The header Idempotency-Key must stand there once, with 1 to 255 printable ASCII characters."
        raise Problem("invalid_request", detail, errors=[FieldError("", "invalid_value", detail)])
    return key


def check_against_content(answers: Sequence[IntakeResult], read: Sequence[Content]) -> list[IntakeResult]:
    """Refuse each repeat of a key whose content is not the one that was accepted with it."""
    repeated = {
        one.uid
        for one, answer in zip(read, answers, strict=True)
        if one.keyed and isinstance(answer, Accepted) and answer.duplicate
    }
    if not repeated:
        return list(answers)
    with db.current().read() as session:
        accepted = _digests(session, repeated)
    return [
        _reused(answer) if one.uid in accepted and _digest(one.canonical) != accepted[one.uid] else answer
        for one, answer in zip(read, answers, strict=True)
    ]


def check_together(submissions: Sequence[Submission], key: str) -> None:
    """Remember what several notifications say that came with one key, or see that it is what was remembered.

    Raises:
        Problem: ``idempotency_key_reused``.
    """
    together = b"\n".join(Entry(submission=one, caller=None).read().canonical or one.raw for one in submissions)
    row = {
        "uid": ids.key_id(submissions[0].service_id, key, submissions[0].manner.apart),
        "day": clock.now().date(),
        "content_digest": ids.content_digest(together),
    }
    with db.current().transaction() as session:
        _REMEMBER_KEY.send(session, [row])
        first = session.scalar(select(IdempotencyKey.content_digest).where(IdempotencyKey.uid == row["uid"]))
    if first != row["content_digest"]:
        detail = "This Idempotency-Key came before with other notifications: send these with a key of their own."
        raise Problem("idempotency_key_reused", detail)


def _reused(answer: IntakeResult) -> IntakeResult:
    if isinstance(answer, Refused):
        return answer
    detail = (
        "This Idempotency-Key came before with other content, which was accepted: send this content with a key of "
        "its own."
    )
    return Refused(Problem("idempotency_key_reused", detail), answer.notification_id, answer.status)


def _digest(content: bytes) -> int:
    return ids.content_digest(contents.as_sent(content))


def _digests(session: Session, uids: Collection[UUID]) -> dict[UUID, int]:
    past = select(PastNotification.uid, PastNotification.content_digest).where(PastNotification.uid.in_(uids))
    present = select(Notification.uid, Notification.content).where(Notification.uid.in_(uids))
    found: dict[UUID, int] = dict(session.execute(past).tuples().all())
    found |= {uid: _digest((content or "").encode()) for uid, content in session.execute(present)}
    return found


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
