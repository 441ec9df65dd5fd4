"""What was posted to a client, what is to be, and posting it once more."""

from datetime import datetime
from typing import Literal, cast

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.callbacks import endpoints, tasks
from backend.db import commits
from backend.db.models.callbacks import CallbackMessage
from backend.db.models.installation import NEVER
from backend.lib import clock
from backend.lib.problems import Problem

Status = Literal["PENDING", "DELIVERED", "FAILED"]
Type = Literal[
    "notification.sent",
    "notification.delivered",
    "notification.partial",
    "notification.failed",
    "notification.cancelled",
    "notification.at_risk",
    "delivery.failed",
    "obligation.step_taken",
    "obligation.step_refused",
    "obligation.met",
    "obligation.worklist",
    "obligation.closed",
    "matter.resolved",
]


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One change that a client is told of; ``id`` is its ``webhook-id``, ``payload`` the JSON text that is posted.

    ``next_attempt_at`` is null unless it is pending. ``last_status`` is the HTTP number of the last answer, null
    where there was none; ``last_error`` then says why.
    """

    id: str
    type: Type
    notification_id: str
    status: Status
    attempts: int
    created_at: datetime
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    payload: str


def page(session: Session, api_client_id: int, limit: int, after: int | None = None) -> list[tuple[int, MessageRecord]]:
    """Return a client's messages with their rows' ids, the latest first, ``limit`` of them behind ``after``.

    Raises:
        Problem: ``not_found`` if the client has no address.
    """
    row = endpoints.existing(session, api_client_id, lock=False)
    wanted = select(CallbackMessage).where(CallbackMessage.endpoint_id == row.id)
    if after is not None:
        wanted = wanted.where(CallbackMessage.id < after)
    found = session.scalars(wanted.order_by(CallbackMessage.id.desc()).limit(limit))
    return [(one.id, _record(one)) for one in found]


def redeliver(session: Session, api_client_id: int, message_id: str, actor: Actor) -> MessageRecord:
    """Post a message once more, with all its tries and the same ``webhook-id``; workers are woken after the commit.

    Raises:
        Problem: ``not_found``, or ``callback_disabled`` while nothing is posted to the address.
    """
    owner = endpoints.existing(session, api_client_id)
    row = session.scalar(
        select(CallbackMessage)
        .where(CallbackMessage.endpoint_id == owner.id, CallbackMessage.uid == message_id)
        .with_for_update()
    )
    if row is None:
        raise Problem("not_found", "This API client has no such message.")
    if owner.disabled_at is not None:
        raise Problem("callback_disabled", f"Nothing is posted to this address. {owner.disabled_why}")
    if row.claimed_by is None:
        row.status, row.attempts, row.due_at = "PENDING", 0, clock.now()
        owner.resume_at = None
    audit.record(session, actor, "callback.redelivered", message_id, service_id=owner.service_id)
    session.flush()
    commits.after(session, "callbacks", tasks.wake)
    return _record(row)


def _record(row: CallbackMessage) -> MessageRecord:
    return MessageRecord(
        id=row.uid,
        type=cast("Type", row.type),
        notification_id=str(row.notification_uid),
        status=cast("Status", row.status),
        attempts=row.attempts,
        created_at=row.created_at,
        last_attempt_at=row.tried_at,
        next_attempt_at=row.due_at if row.status == "PENDING" and row.due_at < NEVER else None,
        last_status=row.last_status,
        last_error=row.last_error,
        payload=row.payload,
    )
