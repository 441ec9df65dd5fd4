"""Opening obligations: in the transaction that stores their notifications, so that neither is there without the other.

A step's notification has an id made from the obligation and the step's number: however often a step is handed over,
it is one notification.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import insert
from sqlalchemy.orm import Session

from backend.db import statements
from backend.db.models.obligations import Obligation, ObligationDay, ObligationState, ObligationStep, StepState
from backend.lib import ids


class NewStep(msgspec.Struct, frozen=True):
    """A step to come: ``after`` so many seconds it is due; ``content`` is its notification, as a client would send it.

    Without content it is the end: the moment at which the obligation goes to the worklist.
    """

    after: int
    content: str | None


class NewObligation(msgspec.Struct, frozen=True, kw_only=True):
    """What a notification owes; ``steps`` are those to come, in order, the last of which is the end.

    ``begins`` is the moment from which steps count, of one that is sent later; None for when it is opened.
    ``matter_id`` is what it is about, if that has a name.
    """

    service_id: int
    api_client_id: int | None
    notification_uid: UUID
    policy_id: str | None
    until: str
    at_last: str
    steps: Sequence[NewStep]
    begins: datetime | None = None
    matter_id: UUID | None = None


def open_all(session: Session, new: Sequence[NewObligation], moment: datetime) -> None:
    """Store obligations that are opened at a moment, and count them for the ledger."""
    for one in new:
        begins = one.begins or moment
        row = Obligation(
            service_id=one.service_id,
            api_client_id=one.api_client_id,
            notification_uid=one.notification_uid,
            policy_id=one.policy_id,
            matter_id=one.matter_id,
            until=one.until,
            at_last=one.at_last,
            state=ObligationState.OPEN.value,
            opened_at=moment,
            next_at=begins + timedelta(seconds=one.steps[0].after),
        )
        session.add(row)
        session.flush()
        session.execute(insert(ObligationStep), _steps(row.id, one, begins))
    _count(session, Counter(one.service_id for one in new), moment)


def _steps(obligation_id: int, one: NewObligation, moment: datetime) -> list[dict[str, object]]:
    first: dict[str, object] = {
        "obligation_id": obligation_id,
        "number": 0,
        "notification_uid": one.notification_uid,
        "after": 0,
        "due_at": moment,
        "state": StepState.SENT.value,
        "content": None,
        "taken_at": moment,
    }
    later: list[dict[str, object]] = [
        {
            "obligation_id": obligation_id,
            "number": number,
            "notification_uid": ids.step_notification_id(one.notification_uid, number),
            "after": step.after,
            "due_at": moment + timedelta(seconds=step.after),
            "state": StepState.WAITING.value,
            "content": step.content,
            "taken_at": None,
        }
        for number, step in enumerate(one.steps, start=1)
    ]
    return [first, *later]


def _count(session: Session, opened: Counter[int], moment: datetime) -> None:
    """Add to the day's counts; in one order, so that no two transactions wait for each other."""
    for service_id, count in sorted(opened.items()):
        adding = statements.insert(session, ObligationDay).values(
            service_id=service_id, day=moment.date(), opened=count
        )
        session.execute(
            adding.on_conflict_do_update(
                index_elements=["service_id", "day"],
                set_={"opened": ObligationDay.opened + adding.excluded.opened},
            )
        )
