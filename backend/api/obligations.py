"""Obligations: acknowledged, closed by hand, and those that nobody has answered for."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, get, post
from litestar.concurrency import sync_to_thread
from litestar.params import Parameter
from pydantic import Field
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.accounts.faults import unavailable_without_database
from backend.api import bodies, errors, parameters
from backend.api.guards import bearer, principal
from backend.db import database as db
from backend.lib import strict_json
from backend.lib.problems import FieldError, Problem
from backend.lib.strict_json import Shape
from backend.obligations import goals, report
from backend.obligations import worklist as waiting
from backend.obligations.goals import Acknowledgement
from backend.obligations.report import ObligationReport, WorklistRow

PATH = "/notifications/v1"
_TAGS = ["Obligations"]
_AnyRequest = Request[Any, Any, Any]
_Person = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=200,
        description="Who it is, as your system knows them: a name or an address. Else the API client counts.",
    ),
]


class AcknowledgeIn(Shape):
    """Who acknowledges."""

    by: _Person = None


class Acknowledged(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the obligation is now; ``duplicate`` tells that its goal had been reached before."""

    notification_id: str
    obligation: ObligationReport
    duplicate: bool = False


class CloseIn(Shape):
    """Why an obligation is closed although its goal was not reached, and by whom."""

    reason: Annotated[
        str,
        Field(min_length=1, max_length=waiting.LONGEST_REASON, description="What others find in the history later."),
    ]
    by: _Person = None


class Closed(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the obligation is now; ``duplicate`` tells that it had ended before, by this or otherwise."""

    notification_id: str
    obligation: ObligationReport
    duplicate: bool = False


class WorklistPage(msgspec.Struct, frozen=True):
    """A page of the worklist, the oldest first; ``next_cursor`` is null on the last."""

    worklist: list[WorklistRow]
    next_cursor: str | None


@post(
    f"{PATH}/{{notification_id:str}}/acknowledge",
    guards=[bearer],
    opt={"scope": "notifications:send", "body": AcknowledgeIn},
    status_code=200,
    responses=errors.documented(400, 401, 403, 404, 409, 413, 415, 429, 503),
    tags=_TAGS,
    operation_id="acknowledgeNotification",
    summary="Acknowledge a notification",
)
async def acknowledge(
    request: _AnyRequest,
    notification_id: Annotated[str, Parameter(description="The id that sending answered.", max_length=64)],
) -> Acknowledged:
    """Say that somebody knows: its obligation is met, and the steps to come are not taken.

    The body may be left out. To acknowledge again changes nothing.
    """
    raw = await request.body()
    if raw:
        bodies.see_that_it_is_json(request)
    by = _name(strict_json.check(AcknowledgeIn, strict_json.parse(raw or b"{}")).by)
    return await sync_to_thread(_acknowledge, request, _uid(notification_id), by)


def _acknowledge(request: _AnyRequest, uid: UUID, by: str | None) -> Acknowledged:
    caller = principal(request)
    given = Acknowledgement(by or caller.client_id, "API")
    with unavailable_without_database(), db.current().transaction() as session:
        first = goals.acknowledge(session, caller.service_id, uid, given)
        if first:
            actor, detail = Actor("client", caller.client_id), {"by": by} if by else {}
            audit.record(
                session, actor, "obligation.acknowledged", str(uid), service_id=caller.service_id, detail=detail
            )
        return Acknowledged(str(uid), _standing(session, caller.service_id, uid), duplicate=not first)


def _name(by: str | None) -> str | None:
    if by is not None and not by.isprintable():
        fault = FieldError("/by", "invalid_value", "Must be printable text, without control characters.")
        raise Problem("invalid_request", f"The member 'by': {fault.detail}", errors=[fault])
    return by


@post(
    f"{PATH}/{{notification_id:str}}/close",
    guards=[bearer],
    opt={"scope": "notifications:send", "body": CloseIn},
    status_code=200,
    responses=errors.documented(400, 401, 403, 404, 409, 413, 415, 429, 503),
    tags=_TAGS,
    operation_id="closeObligation",
    summary="Close an obligation",
)
async def close(
    request: _AnyRequest,
    notification_id: Annotated[str, Parameter(description="The id that sending answered.", max_length=64)],
) -> Closed:
    """Say that nobody has to answer any more, and why: the steps to come are not taken, and the worklist loses it.

    To close again what has ended changes nothing.
    """
    given = await bodies.read(request, CloseIn)
    return await sync_to_thread(_close, request, _uid(notification_id), given.reason, _name(given.by))


def _close(request: _AnyRequest, uid: UUID, reason: str, by: str | None) -> Closed:
    caller = principal(request)
    with unavailable_without_database(), db.current().transaction() as session:
        goals.check_owes(session, caller.service_id, uid)
        name = by or caller.client_id
        first = waiting.close(session, caller.service_id, uid, name, reason, through="API")
        if first:
            actor, detail = Actor("client", caller.client_id), {"reason": reason} | ({"by": by} if by else {})
            audit.record(session, actor, "obligation.closed", str(uid), service_id=caller.service_id, detail=detail)
        return Closed(str(uid), _standing(session, caller.service_id, uid), duplicate=not first)


def _standing(session: Session, service_id: int, uid: UUID) -> ObligationReport:
    """Report on what a notification owes now, after this transaction's own changes."""
    row = goals.of_notification(session, service_id, uid)
    if row is None:
        raise _unknown()
    session.refresh(row)
    return report.of(session, row)


def _uid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _unknown() from None


def _unknown() -> Problem:
    return Problem("not_found", "This service has no notification of this id.")


@get(
    f"{PATH}/worklist",
    guards=[bearer],
    opt={"scope": "notifications:read", "query": ("limit", "cursor")},
    responses=errors.documented(400, 401, 403, 429, 503),
    tags=_TAGS,
    operation_id="getWorklist",
    summary="List what nobody has answered for",
    sync_to_thread=True,
)
def worklist(request: _AnyRequest, limit: parameters.Limit = 50, cursor: parameters.Cursor = None) -> WorklistPage:
    """List the obligations of the service whose steps have all been taken, and whose goal is not reached."""
    after = parameters.after(cursor, int)
    with unavailable_without_database(), db.current().read() as session:
        rows, last = report.on_worklist(session, principal(request).service_id, limit, after)
    return WorklistPage(rows, parameters.next_cursor(last))


ROUTES = [acknowledge, close, worklist]
