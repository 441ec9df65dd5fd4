"""Notifications: sent, explained, looked up and listed."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from litestar.types import Scope

from backend.accounts.access import Principal
from backend.accounts.faults import unavailable_without_database
from backend.api import access_log, bodies, errors, guards, large_bodies, parameters
from backend.api.guards import bearer, principal
from backend.api.openapi_responses import IDEMPOTENCY_KEY
from backend.db import session as db
from backend.db.models.notifications import NotificationStatus
from backend.delivery.bell import Bell
from backend.intake import explain as explaining
from backend.intake import idempotency
from backend.intake.admission import Admission
from backend.intake.content import Submission
from backend.intake.explain import Explanation
from backend.intake.outcomes import Accepted
from backend.intake.schema import MAX_AGGREGATOR, NotificationIn
from backend.lib import ids, traces
from backend.lib.problems import FieldError, Problem
from backend.reports import notification, notifications
from backend.reports.model import Links, NotificationPage, NotificationReport, PriorityName, ReportLinks
from backend.reports.notification import After, Found

PATH = "/notifications/v1"
SEND = "notifications:send"
_TAGS = ["Notifications"]
_AnyRequest = Request[Any, Any, Any]


class Dispatched(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a notification that was accepted, now or before."""

    notification_id: str
    status: NotificationStatus
    links: Links
    duplicate: bool = False
    warnings: list[FieldError] = []


@lru_cache(maxsize=1)
def intake() -> Admission:
    """Return this process's way into intake: all requests that wait are accepted in one transaction."""
    return Admission(Bell().ring)


@post(
    PATH,
    guards=[bearer],
    opt={"scope": SEND, "body": NotificationIn, "parameters": (IDEMPOTENCY_KEY,), guards.LATE: True},
    status_code=202,
    request_max_body_size=large_bodies.MOST_BYTES,
    responses={
        200: ResponseSpec(
            data_container=Dispatched,
            description="The same content was accepted before; nothing is sent again",
            generate_examples=False,
        ),
        **errors.documented(400, 401, 403, 413, 415, 422, 429, 503),
    },
    tags=_TAGS,
    operation_id="sendNotification",
    summary="Send a notification",
)
async def send(request: _AnyRequest) -> Response[Dispatched]:
    """Accept a notification as a whole, or none of it; the same content again is not sent again.

    With an `Idempotency-Key` header the key says what is the same, in place of the content: the same key with other
    content is refused with 422.
    """
    refusal, uid = guards.late_refusal(request), None
    try:
        bodies.see_that_it_is_json(request)
    except Problem as problem:
        refusal = refusal or problem
    with large_bodies.room.taken(principal(request).service_id) as reader:
        try:
            raw = await reader.read(request, refused=refusal is not None)
        except Problem as problem:
            if problem.code != "too_large":
                raise
            # Nothing of it makes an id: this one is its own, and no repeat of it will have it.
            raw, uid = b"", ids.random_id()
            refusal = refusal or problem
        return await take(principal(request), raw, request.scope, refusal=refusal, uid=uid)


async def take(
    client: Principal, raw: bytes, scope: Scope, *, refusal: Problem | None = None, uid: UUID | None = None
) -> Response[Any]:
    """Hand one body over to intake, and answer."""
    try:
        key = idempotency_key(scope)
    except Problem as problem:
        key, refusal = None, refusal or problem
    outcome = await intake().submit(Submission(client.service_id, client.api_client_id, raw, key, refusal, uid))
    access_log.about(scope, outcome.notification_id)
    if isinstance(outcome, Accepted):
        follow(client, outcome)
        return Response(dispatched(outcome), status_code=200 if outcome.duplicate else 202)
    return errors.respond(outcome.problem, outcome.notification_id, outcome.status)


def idempotency_key(scope: Scope) -> str | None:
    """Return the key of a request; raises Problem for one that cannot be used."""
    return idempotency.read_key(
        [value.decode("latin-1") for name, value in scope["headers"] if name == b"idempotency-key"]
    )


def follow(client: Principal, outcome: Accepted) -> None:
    """Begin the trace of a notification where its request is known: intake takes those of many together."""
    if traces.enabled():
        attributes: dict[str, str | int] = {
            "carillon.api_client": client.api_client_id,
            "carillon.status": outcome.status,
        }
        name = "accept again" if outcome.duplicate else "accept"
        traces.mark(UUID(outcome.notification_id), name, attributes)


def dispatched(outcome: Accepted) -> Dispatched:
    links = Links(self=f"{PATH}/{outcome.notification_id}")
    return Dispatched(
        outcome.notification_id, NotificationStatus(outcome.status), links, outcome.duplicate, list(outcome.warnings)
    )


@post(
    f"{PATH}/explain",
    guards=[bearer],
    opt={"scope": SEND, "body": NotificationIn},
    status_code=200,
    request_max_body_size=large_bodies.MOST_BYTES,
    responses=errors.documented(400, 401, 403, 413, 415, 429, 503),
    tags=_TAGS,
    operation_id="explainNotification",
    summary="Explain what a notification would do",
)
async def explain(request: _AnyRequest) -> Explanation:
    """Judge and render a notification with nothing stored and nothing sent."""
    client = principal(request)
    bodies.see_that_it_is_json(request)
    with large_bodies.room.taken(principal(request).service_id) as reader:
        raw = await reader.read(request)
        return await sync_to_thread(_explain, Submission(client.service_id, client.api_client_id, raw))


def _explain(submission: Submission) -> Explanation:
    with unavailable_without_database():
        return explaining.explain(submission)


_CONTINUE = "Where the {} continue: taken from a link of the page before. Opaque; pass it unchanged."


@get(
    f"{PATH}/{{notification_id:str}}",
    guards=[bearer],
    opt={"scope": "notifications:read", "query": ("deliveries", "events")},
    responses=errors.documented(400, 401, 403, 404, 429, 503),
    tags=_TAGS,
    operation_id="getNotification",
    summary="Look up a notification",
    description=(
        "Counts by status are of all deliveries. The first 500 deliveries stand with their recipients, and the first"
        " 500 events; where there are more, `links.next` leads to the following deliveries and `links.next_events` to"
        " the following events, until there is no such link."
    ),
    sync_to_thread=True,
)
def show(
    request: _AnyRequest,
    notification_id: Annotated[str, Parameter(description="The id that sending answered.", max_length=64)],
    deliveries: Annotated[str | None, Parameter(max_length=1024, description=_CONTINUE.format("deliveries"))] = None,
    events: Annotated[str | None, Parameter(max_length=1024, description=_CONTINUE.format("events"))] = None,
) -> NotificationReport:
    """Report what became of a notification, delivery by delivery."""
    uid, after = _uid(notification_id), _after(deliveries, events)
    with unavailable_without_database(), db.current().read() as session:
        found = notification.find(session, principal(request).service_id, uid, after) if uid else None
        report = notification.describe(session, found, _links(found)) if found else None
    if report is None:
        raise Problem("not_found", "This service has no notification of this id.")
    return report


def _after(deliveries: str | None, events: str | None) -> After:
    delivery = parameters.read_cursor(deliveries, int, name="deliveries")[0] if deliveries is not None else None
    if events is None:
        return After(delivery)
    moment, event = parameters.read_cursor(events, str, int, name="events")
    try:
        return After(delivery, (datetime.fromisoformat(moment).astimezone(UTC), event))
    except (ValueError, OverflowError):
        raise parameters.bad_cursor("events") from None


def _links(found: Found) -> ReportLinks:
    own = f"{PATH}/{found.notification.uid}"
    more = found.next
    delivery = parameters.write_cursor(more.delivery) if more.delivery is not None else None
    event = parameters.write_cursor(more.event[0].isoformat(), more.event[1]) if more.event is not None else None
    return ReportLinks(
        self=own,
        next=f"{own}?deliveries={delivery}" if delivery else None,
        next_events=f"{own}?events={event}" if event else None,
    )


def _uid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


Status = Literal["DISPATCHED", "BUFFERED", "SENT", "DELIVERED", "PARTIAL", "FAILED", "CANCELLED"]
Moment = datetime | None
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MUST_BE = {
    "status": f"Must be one of {', '.join(get_args(Status))}.",
    "priority": f"Must be one of {', '.join(get_args(PriorityName))}.",
    "created_from": parameters.A_MOMENT,
    "created_to": parameters.A_MOMENT,
}
_FILTERS = (
    "status",
    "priority",
    "template_id",
    "recipient",
    "aggregator_id",
    "created_from",
    "created_to",
    "limit",
    "cursor",
)


@get(
    PATH,
    guards=[bearer],
    opt={"scope": "notifications:read", "query": _FILTERS},
    responses=errors.documented(400, 401, 403, 429, 503),
    tags=_TAGS,
    operation_id="listNotifications",
    summary="List notifications",
    sync_to_thread=True,
)
def index(  # noqa: PLR0913, PLR0917 - one parameter for each filter of the address
    request: _AnyRequest,
    status: Annotated[Status | None, Parameter(description="Only those of this status.")] = None,
    priority: Annotated[PriorityName | None, Parameter(description="Only those of this priority.")] = None,
    template_id: Annotated[str | None, Parameter(max_length=64, description="Only those with this template.")] = None,
    recipient: Annotated[str | None, Parameter(max_length=64, description="Only those to this recipient.")] = None,
    aggregator_id: Annotated[
        str | None, Parameter(max_length=MAX_AGGREGATOR, description=f"Only those of this. {parameters.PLUS}")
    ] = None,
    created_from: Annotated[
        Moment, Parameter(description=f"Only those accepted at this moment or later. {parameters.PLUS}")
    ] = None,
    created_to: Annotated[
        Moment, Parameter(description=f"Only those accepted before this moment. {parameters.PLUS}")
    ] = None,
    limit: parameters.Limit = 50,
    cursor: parameters.Cursor = None,
) -> NotificationPage:
    """List the service's notifications, newest first."""
    _see_that_none_is_null(request)
    wanted = notifications.Filter(
        status=status,
        priority=priority,
        template_id=_plain(template_id, "template_id"),
        recipient=_plain(recipient, "recipient"),
        aggregator_id=_plain(aggregator_id, "aggregator_id"),
        created_from=_aware(request, "created_from", created_from),
        created_to=_aware(request, "created_to", created_to),
    )
    before = parameters.read_cursor(cursor, int)[0] if cursor is not None else None
    with unavailable_without_database(), db.current().read() as session:
        rows, last = notifications.page(session, principal(request).service_id, wanted, limit=limit, before=before)
    return NotificationPage(rows, parameters.write_cursor(last) if last is not None else None)


def _see_that_none_is_null(request: _AnyRequest) -> None:
    """Refuse ``null``, which the framework would take for a filter that is left out, so that all would be listed."""
    for name, sentence in _MUST_BE.items():
        if request.query_params.get(name, "").lower() == "null":
            raise _faulty(name, sentence)


def _aware(request: _AnyRequest, name: str, moment: datetime | None) -> datetime | None:
    # The framework would take a bare number too, as seconds since the epoch.
    if moment is not None and (moment.tzinfo is None or not _DATE.match(request.query_params[name])):
        raise _faulty(name, parameters.A_MOMENT)
    try:
        return moment.astimezone(UTC) if moment is not None else None
    except OverflowError as error:
        raise _faulty(name, "Must be a moment in UTC between the years 1 and 9999.") from error


def _plain(text: str | None, name: str) -> str | None:
    if text is not None and not text.isprintable():
        raise _faulty(name, "Must not hold control characters.")
    return text


def _faulty(name: str, detail: str) -> Problem:
    return Problem(
        "invalid_request", parameters.wrong(name, detail), errors=[FieldError(f"/{name}", "invalid_value", detail)]
    )


ROUTES = [send, explain, show, index]
