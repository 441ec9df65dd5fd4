"""Batches that wait to be sent: seen, previewed, flushed, held back, released, and relieved of a member."""

from typing import Annotated, Any, Literal
from urllib.parse import unquote
from uuid import UUID

import msgspec
from litestar import Request, delete, get, post
from litestar.params import Parameter

from backend.accounts.audit import Actor
from backend.api import errors, parameters
from backend.api.guards import bearer, principal
from backend.batching import manage, preview, report
from backend.batching.preview import BatchPreview
from backend.batching.report import BatchDetails, BatchRow
from backend.db import database as db
from backend.db.models.notifications import NotificationStatus
from backend.intake.schema import MAX_AGGREGATOR, is_aggregator
from backend.lib.problems import Problem

PATH = "/notifications/v1/aggregators"
_TAGS = ["Batches"]
_READ: dict[str, Any] = {"scope": "notifications:read"}
_ACT: dict[str, Any] = {"scope": "notifications:send"}
_AnyRequest = Request[Any, Any, Any]
AggregatorId = Annotated[
    str, Parameter(description="What the notifications were gathered by.", schema_extra={"max_length": MAX_AGGREGATOR})
]


Done = Literal["flushed", "held", "released"]


class BatchPage(msgspec.Struct, frozen=True):
    """A page of unsent batches, oldest first; ``next_cursor`` is null on the last."""

    aggregators: list[BatchRow]
    next_cursor: str | None


class AggregatorAnswer(msgspec.Struct, frozen=True):
    """What waits under one aggregator_id: one batch for each channel, recipient, template and subject.

    Where there are more than 100 batches or 1,000 members, ``next_cursor`` leads to what follows.
    """

    aggregator_id: str
    batches: list[BatchDetails]
    next_cursor: str | None = None


class Handled(msgspec.Struct, frozen=True):
    """What was done, and the batches that it was done to as they are now: the first hundred of ``batches_total``."""

    aggregator_id: str
    done: Done
    batches: list[BatchRow]
    batches_total: int


class MemberRemoved(msgspec.Struct, frozen=True):
    """The status of a notification that was taken out, and the batches that it was in."""

    notification_id: str
    status: NotificationStatus
    batches: list[BatchRow]


class AggregatorPreview(msgspec.Struct, frozen=True):
    """The messages as they would go now, one for each batch; ``next_cursor`` leads to more than can be made at once."""

    aggregator_id: str
    messages: list[BatchPreview]
    next_cursor: str | None = None


@get(
    PATH,
    guards=[bearer],
    opt={**_READ, "query": ("limit", "cursor")},
    responses=errors.documented(400, 401, 403, 429),
    tags=_TAGS,
    operation_id="listAggregators",
    summary="List batches that wait",
    sync_to_thread=True,
)
def index(request: _AnyRequest, limit: parameters.Limit = 50, cursor: parameters.Cursor = None) -> BatchPage:
    """List the service's unsent batches: open, full but held back, and those that no message could be made of."""
    after = parameters.after(cursor, int)
    with db.current().read() as session:
        rows, last = report.waiting(session, principal(request).service_id, limit=limit, after=after)
    return BatchPage(rows, parameters.next_cursor(last))


@get(
    f"{PATH}/{{aggregator_id:str}}",
    guards=[bearer],
    opt={**_READ, "query": ("cursor",)},
    responses=errors.documented(400, 401, 403, 404, 429),
    tags=_TAGS,
    operation_id="getAggregator",
    summary="Look into batches",
    sync_to_thread=True,
)
def show(request: _AnyRequest, aggregator_id: AggregatorId, cursor: parameters.Cursor = None) -> AggregatorAnswer:
    """Show the unsent batches of an aggregator with the fields of every member."""
    aggregator_id = _asked(aggregator_id)
    after = parameters.read_cursor(cursor, int, int) if cursor is not None else (0, 0)
    with db.current().read() as session:
        found, last = report.details(session, principal(request).service_id, aggregator_id, after)
    if not found and cursor is None:
        raise manage.nothing_waits()
    return AggregatorAnswer(aggregator_id, found, parameters.write_cursor(*last) if last else None)


@get(
    f"{PATH}/{{aggregator_id:str}}/preview",
    guards=[bearer],
    opt={**_READ, "query": ("cursor",)},
    responses=errors.documented(400, 401, 403, 404, 429, 503),
    tags=_TAGS,
    operation_id="previewAggregator",
    summary="Preview batches",
    sync_to_thread=True,
)
def show_preview(
    request: _AnyRequest, aggregator_id: AggregatorId, cursor: parameters.Cursor = None
) -> AggregatorPreview:
    """Render unsent batches as they would go now, the first few; nothing is sent."""
    aggregator_id = _asked(aggregator_id)
    after = parameters.after(cursor, int) or 0
    found, last = preview.previews(principal(request).service_id, aggregator_id, after)
    return AggregatorPreview(aggregator_id, found, parameters.next_cursor(last))


@post(
    f"{PATH}/{{aggregator_id:str}}/flush",
    guards=[bearer],
    opt=_ACT,
    status_code=200,
    responses=errors.documented(400, 401, 403, 404, 429, 503),
    tags=_TAGS,
    operation_id="flushAggregator",
    summary="Send batches now",
    sync_to_thread=True,
)
def flush(request: _AnyRequest, aggregator_id: AggregatorId) -> Handled:
    """Send every unsent batch of an aggregator now, also those held back and those that failed to render.

    Where there are more than a hundred, the others are closed and follow at once.
    """
    aggregator_id = _asked(aggregator_id)
    service_id, by = _caller(request)
    return _handled(aggregator_id, "flushed", manage.flush_now(service_id, aggregator_id, by=by))


@post(
    f"{PATH}/{{aggregator_id:str}}/hold",
    guards=[bearer],
    opt=_ACT,
    status_code=200,
    responses=errors.documented(400, 401, 403, 404, 429, 503),
    tags=_TAGS,
    operation_id="holdAggregator",
    summary="Hold batches back",
    sync_to_thread=True,
)
def hold(request: _AnyRequest, aggregator_id: AggregatorId) -> Handled:
    """Keep the batches of an aggregator from being sent until they are released or flushed; they go on gathering."""
    aggregator_id = _asked(aggregator_id)
    service_id, by = _caller(request)
    return _handled(aggregator_id, "held", manage.pause(service_id, aggregator_id, by=by))


@post(
    f"{PATH}/{{aggregator_id:str}}/release",
    guards=[bearer],
    opt=_ACT,
    status_code=200,
    responses=errors.documented(400, 401, 403, 404, 429, 503),
    tags=_TAGS,
    operation_id="releaseAggregator",
    summary="Release batches",
    sync_to_thread=True,
)
def release(request: _AnyRequest, aggregator_id: AggregatorId) -> Handled:
    """Let the batches of an aggregator go on; what has become due meanwhile is sent at once."""
    aggregator_id = _asked(aggregator_id)
    service_id, by = _caller(request)
    return _handled(aggregator_id, "released", manage.release(service_id, aggregator_id, by=by))


@delete(
    f"{PATH}/{{aggregator_id:str}}/members/{{notification_id:str}}",
    guards=[bearer],
    opt=_ACT,
    status_code=200,
    responses=errors.documented(400, 401, 403, 404, 409, 429, 503),
    tags=_TAGS,
    operation_id="removeAggregatorMember",
    summary="Take a notification out of its batch",
    sync_to_thread=True,
)
def remove(
    request: _AnyRequest,
    aggregator_id: AggregatorId,
    notification_id: Annotated[str, Parameter(description="The id that sending answered.", max_length=64)],
) -> MemberRemoved:
    """Take a notification out of every unsent batch of an aggregator; it becomes CANCELLED."""
    try:
        uid = UUID(notification_id)
    except ValueError:
        raise Problem("not_found", "This service has no notification of this id.") from None
    service_id, by = _caller(request)
    removed = manage.remove(service_id, _asked(aggregator_id), uid, by=by)
    return MemberRemoved(str(uid), NotificationStatus(removed.status), _rows(removed.batch_ids))


def _caller(request: _AnyRequest) -> tuple[int, Actor]:
    """Return the service that a request acts for, and who acts, for the audit log."""
    caller = principal(request)
    return caller.service_id, Actor("client", caller.client_id)


def _asked(aggregator_id: str) -> str:
    """Return what can be an aggregator_id; nothing waits under anything else, nor could a database look for it.

    It comes as the path has it, for a slash in it is ``%2F`` there.
    """
    found = unquote(aggregator_id)
    if not is_aggregator(found):
        raise manage.nothing_waits()
    return found


def _handled(aggregator_id: str, done: Done, batch_ids: list[int]) -> Handled:
    return Handled(aggregator_id, done, _rows(batch_ids[: manage.AT_ONCE]), len(batch_ids))


def _rows(batch_ids: list[int]) -> list[BatchRow]:
    with db.current().read() as session:
        return report.rows(session, batch_ids)


ROUTES = [index, show, show_preview, flush, hold, release, remove]
