"""Keys by which clients say themselves what is the same: the same key with other content is refused."""

import re
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db import session as db
from backend.db.models.notifications import Notification, PastNotification
from backend.intake.content import Content
from backend.intake.outcomes import Accepted, Outcome, Refused
from backend.lib import ids
from backend.lib.problems import FieldError, Problem

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


def hold_to_content(answers: Sequence[Outcome], read: Sequence[Content]) -> list[Outcome]:
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
        _reused(answer) if one.uid in accepted and ids.content_digest(one.canonical) != accepted[one.uid] else answer
        for one, answer in zip(read, answers, strict=True)
    ]


def _reused(answer: Outcome) -> Outcome:
    if isinstance(answer, Refused):
        return answer
    detail = (
        "This Idempotency-Key came before with other content, which was accepted: send this content with a key of "
        "its own."
    )
    return Refused(Problem("idempotency_key_reused", detail), answer.notification_id, answer.status)


def _digests(session: Session, uids: Collection[UUID]) -> dict[UUID, int]:
    past = select(PastNotification.uid, PastNotification.content_digest).where(PastNotification.uid.in_(uids))
    present = select(Notification.uid, Notification.content).where(Notification.uid.in_(uids))
    found: dict[UUID, int] = dict(session.execute(past).tuples().all())
    found |= {uid: ids.content_digest((content or "").encode()) for uid, content in session.execute(present)}
    return found
