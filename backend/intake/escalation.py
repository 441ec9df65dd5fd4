"""Taking the steps of obligations: each is accepted as a notification of its own, by the way that all take."""

import logging

from sqlalchemy.exc import SQLAlchemyError

from backend.accounts import reach
from backend.accounts.reach import Manner
from backend.db import database as db
from backend.db.models.accounts import ApiClient
from backend.delivery import tasks
from backend.intake.accept import accept_many
from backend.intake.content import Step, Submission
from backend.intake.entries import Accepted, Refused
from backend.lib import queue
from backend.obligations import steps
from backend.obligations.steps import Taken
from backend.registry import sending
from backend.restored import report

logger = logging.getLogger(__name__)


@queue.periodic
def escalate() -> None:
    """Take what is due, and take up what a worker that died had taken; the trouble of one is not that of the others."""
    with db.current().autocommit() as session:
        due, left = steps.due(session), steps.abandoned(session)
        if (due or left) and report.held(session).since is not None:
            return  # of a restored database nobody knows yet which steps were taken after it was backed up
    for taken in left:
        try:
            with db.current().transaction() as session:
                needed = steps.is_needed(session, taken)
            if needed:
                submit(taken)
        except SQLAlchemyError:
            logger.exception("The step %s could not be taken up; it is tried again", taken.uid)
    for identity in due:
        try:
            with db.current().transaction() as session:
                now_taken = steps.take(session, identity)
            if now_taken is not None:
                submit(now_taken)
        except SQLAlchemyError:
            logger.exception("A step of obligation %d could not be taken; it is tried again", identity)


def submit(taken: Taken) -> None:
    """Have a step's notification accepted; where that is not possible just now it stays taken, and comes again."""
    step = Step(str(taken.owed_by), taken.until)
    with db.current().read() as session:
        client = session.get(ApiClient, taken.api_client_id) if taken.api_client_id is not None else None
        # A step reaches nobody whom its client's own messages do not reach.
        manner = reach.manner(client) if client is not None else Manner()
    content = taken.content.encode()
    submission = Submission(taken.service_id, taken.api_client_id, content, uid=taken.uid, step=step, manner=manner)
    (outcome,) = accept_many([submission], tasks.wake)
    if isinstance(outcome, Refused) and (outcome.problem.entry.status >= 500):
        logger.warning("A step of an obligation cannot be accepted just now; it is tried again")
        return
    with db.current().transaction() as session:
        if isinstance(outcome, Refused):
            steps.refused(session, taken, outcome.problem.detail)
        else:
            steps.handed_over(session, taken, _waits(outcome))


def _waits(outcome: Accepted) -> str | None:
    """Say what a step has to wait for; the steps after it, and the worklist, do not wait for that."""
    return " ".join(one.detail for one in outcome.warnings if one.code in sending.WAIT_CODES) or None
