"""Keys by which clients say themselves what is the same: the same key with other content is refused."""

import re
from collections.abc import Collection, Sequence
from typing import cast
from uuid import UUID

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from backend.db import database as db
from backend.db.driver import Insert
from backend.db.models.notifications import IdempotencyKey, Notification, PastNotification
from backend.intake.content import Content, Submission
from backend.intake.entries import Entry
from backend.intake.outcomes import Accepted, IntakeResult, Refused
from backend.lib import clock, ids
from backend.lib.problems import FieldError, Problem
from backend.obligations import contents

_REMEMBER = Insert(
    cast("Table", IdempotencyKey.__table__), ("uid", "day", "content_digest"), "ON CONFLICT (uid) DO NOTHING"
)
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


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
        _REMEMBER.send(session, [row])
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
