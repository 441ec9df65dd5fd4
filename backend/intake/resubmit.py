"""Validating a refused notification afresh at a person's wish, as when its client sends it again."""

from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

import msgspec
from sqlalchemy import select

from backend.accounts import audit, reach
from backend.accounts.audit import Actor
from backend.accounts.reach import Manner
from backend.db import database as db
from backend.db.models.accounts import ApiClient
from backend.db.models.notifications import Notification
from backend.delivery import tasks
from backend.intake import content
from backend.intake.accept import accept_many
from backend.intake.content import Step, Submission
from backend.intake.entries import Refused
from backend.intake.explain import explain
from backend.lib.problems import Problem
from backend.obligations import contents
from backend.registry.lookup import FoundTemplate


def resubmit(service_id: int, uid: UUID, by: Actor) -> Problem | None:
    """Accept a notification that was refused, if it can be now; else return why not.

    Raises:
        Problem: ``not_found`` if the service has none of this id that was refused and whose content was kept.
    """
    found = _refused(service_id, uid)
    if isinstance(found, Problem):
        return found
    (outcome,) = accept_many([found], tasks.wake)
    problem = outcome.problem if isinstance(outcome, Refused) else None
    with db.current().transaction() as session:
        detail = {"accepted": problem is None}
        audit.record(session, by, "notification.judged_again", str(uid), service_id=service_id, detail=detail)
    return problem


def would_refuse(service_id: int, uid: UUID, instead: Mapping[str, FoundTemplate] = MappingProxyType({})) -> str | None:
    """Say why a notification that was refused would be refused again; nothing is stored or sent.

    ``instead`` stand for templates that are published otherwise.

    Raises:
        Problem: as ``resubmit``; or if it cannot be validated just now.
    """
    found = _refused(service_id, uid)
    if isinstance(found, Problem):
        return found.detail
    errors = explain(content.read(found), instead).errors
    return errors[0].detail if errors else None


def _refused(service_id: int, uid: UUID) -> Submission | Problem:
    """Return a refused notification as its client has sent it, or why it can never be accepted."""
    refused = (
        Notification.uid == uid,
        Notification.service_id == service_id,
        Notification.accepted_at.is_(None),
        Notification.content.is_not(None),
    )
    with db.current().read() as session:
        wanted = select(Notification.content, Notification.api_client_id, ApiClient).where(*refused)
        its_client = ApiClient.id == Notification.api_client_id
        found = session.execute(wanted.outerjoin(ApiClient, its_client)).one_or_none()
    if found is None:
        raise Problem("not_found", "This service has no refused notification of this id that can be judged again.")
    text, client_id, client = found
    if _names_files(text or ""):
        not_kept = "Its attachments were not kept, since it was refused: have the client system send it again."
        return Problem("invalid_attachment", not_kept)
    raw, step = _parted(text or "")
    manner = Manner() if client is None else reach.manner(client)
    return Submission(service_id, client_id, raw, uid=uid, step=step, manner=manner)


class _Channel(msgspec.Struct):
    attachments: msgspec.Raw = msgspec.Raw(b"")
    linked_files: msgspec.Raw = msgspec.Raw(b"")


class _Content(msgspec.Struct):
    channels: list[_Channel] = []


class _OfStep(msgspec.Struct):
    step: Step | None = None


def _parted(content: str) -> tuple[bytes, Step | None]:
    """Return what was sent, and of which step, if it was that of an obligation: that is no member that clients give."""
    try:
        step = msgspec.json.decode(content, type=_OfStep).step
    except (msgspec.DecodeError, RecursionError):
        step = None
    if step is None:
        return contents.as_sent(content.encode()), None
    whole = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({name: value for name, value in whole.items() if name != "step"}), step


def _names_files(text: str) -> bool:
    """Tell whether a content names attachments; what is no notification has none that could be sent."""
    try:
        return any(
            bytes(one.attachments) or bytes(one.linked_files)
            for one in msgspec.json.decode(text, type=_Content).channels
        )
    except msgspec.DecodeError:
        return False
