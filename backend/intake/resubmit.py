"""Judging a refused notification afresh at a person's wish, as when its client sends it again."""

from uuid import UUID

import msgspec
from sqlalchemy import select

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.db import session as db
from backend.db.models.notifications import Notification
from backend.delivery import tasks
from backend.intake.accept import accept_many
from backend.intake.content import Submission
from backend.intake.outcomes import Refused
from backend.lib.problems import Problem


def resubmit(service_id: int, uid: UUID, by: Actor) -> Problem | None:
    """Accept a notification that was refused, if it can be now; else return why not.

    Raises:
        Problem: ``not_found`` if the service has none of this id that was refused and whose content was kept.
    """
    refused = (
        Notification.uid == uid,
        Notification.service_id == service_id,
        Notification.accepted_at.is_(None),
        Notification.content.is_not(None),
    )
    with db.current().read() as session:
        found = session.execute(select(Notification.content, Notification.api_client_id).where(*refused)).one_or_none()
    if found is None:
        raise Problem("not_found", "This service has no refused notification of this id that can be judged again.")
    content, api_client_id = found
    if _names_files(content or ""):
        not_kept = "Its attachments were not kept, since it was refused: have the client system send it again."
        return Problem("invalid_attachment", not_kept)
    (outcome,) = accept_many([Submission(service_id, api_client_id, (content or "").encode(), uid=uid)], tasks.nudge)
    problem = outcome.problem if isinstance(outcome, Refused) else None
    with db.current().write() as session:
        detail = {"accepted": problem is None}
        audit.record(session, by, "notification.judged_again", str(uid), service_id=service_id, detail=detail)
    return problem


class _Channel(msgspec.Struct):
    attachments: msgspec.Raw = msgspec.Raw(b"")


class _Content(msgspec.Struct):
    channels: list[_Channel] = []


def _names_files(content: str) -> bool:
    """Tell whether a content names attachments; what is no notification has none that could be sent."""
    try:
        return any(bytes(one.attachments) for one in msgspec.json.decode(content, type=_Content).channels)
    except msgspec.DecodeError:
        return False
