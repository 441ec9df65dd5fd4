"""Obligations in the portal: the worklist of a service, acknowledging, and closing with a reason."""

from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from backend.accounts import audit
from backend.db import database as db
from backend.lib import inputs
from backend.obligations import goals, report
from backend.obligations import worklist as waiting
from backend.obligations.goals import Acknowledgement
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.forms import Sent
from backend.portal.pages import Go, Page, go, page

_PAGE = 50
_EDITORS = [access.editors]


class CloseForm(msgspec.Struct):
    """Why an obligation is closed; ``back`` is ``worklist`` where the form stood there."""

    reason: str = ""
    back: str = ""


@get("/worklist", sync_to_thread=True)
def index(workspace: NamedDependency[Workspace], after: FromQuery[int | None] = None) -> Page:
    """List what nobody has answered for, the oldest first."""
    with db.current().read() as reading:
        rows, further = report.on_worklist(reading, workspace.service_id, _PAGE, inputs.bounded(after))
    return page(
        "obligations/worklist.html",
        workspace.viewer,
        current="worklist",
        workspace=workspace,
        rows=rows,
        after=after,
        further=further,
        longest=waiting.LONGEST_REASON,
    )


@post("/notifications/{uid:uuid}/acknowledge", guards=_EDITORS, status_code=200, sync_to_thread=True)
def acknowledge(workspace: NamedDependency[Workspace], uid: FromPath[UUID]) -> Go:
    """Acknowledge a notification: its obligation is met."""
    with db.current().transaction() as transaction:
        given = Acknowledgement(workspace.actor.name, "PORTAL")
        first = goals.acknowledge(transaction, workspace.service_id, uid, given)
        if first:
            audit.record(
                transaction, workspace.actor, "obligation.acknowledged", str(uid), service_id=workspace.service_id
            )
    done = "Acknowledged: no further step is taken." if first else "It had been acknowledged before."
    return go(workspace.address(f"notifications/{uid}"), done=done)


@post("/notifications/{uid:uuid}/close", guards=_EDITORS, status_code=200, sync_to_thread=True)
def close(workspace: NamedDependency[Workspace], uid: FromPath[UUID], data: Sent[CloseForm]) -> Go:
    """Close an obligation with a reason."""
    with db.current().transaction() as transaction:
        by = workspace.actor.name
        closed = waiting.close(transaction, workspace.service_id, uid, by, data.reason, through="PORTAL")
        if closed:
            detail = {"reason": data.reason[: waiting.LONGEST_REASON]}
            audit.record(
                transaction,
                workspace.actor,
                "obligation.closed",
                str(uid),
                service_id=workspace.service_id,
                detail=detail,
            )
    back = "worklist" if data.back == "worklist" else f"notifications/{uid}"
    return go(workspace.address(back), done="Closed." if closed else "It had ended before.")


ROUTES = [index, acknowledge, close]
