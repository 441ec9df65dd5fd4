"""Notifications: sent, explained, looked up and listed."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.concurrency import sync_to_thread
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from litestar.types import Scope

from backend.accounts.access import Principal
from backend.accounts.audit import Actor
from backend.accounts.faults import unavailable_without_database
from backend.api import bodies, errors, guards, large_bodies, middleware, parameters
from backend.api.guards import bearer, principal
from backend.api.notification_filters import (
    ModeName,
    Moment,
    aware,
    plain,
    see_that_none_is_null,
)
from backend.api.openapi_responses import IDEMPOTENCY_KEY
from backend.channels.base import Channel, ChannelName
from backend.db import database as db
from backend.db.models.accounts import Mode
from backend.db.models.notifications import NotificationStatus, StatusName
from backend.delivery.tasks import Waker
from backend.intake import admission, content, repeats
from backend.intake import explain as explaining
from backend.intake.admission import Admission
from backend.intake.content import Content, Submission
from backend.intake.entries import Accepted
from backend.intake.explanation import Explanation
from backend.intake.schema import MAX_AGGREGATOR, NotificationIn
from backend.lib import ids, traces
from backend.lib.problems import FieldError, Problem
from backend.reports import notification, notifications
from backend.reports.model import Links, NotificationPage, NotificationReport, PriorityName, ReportLinks
from backend.reports.notification import After, Found
from backend.scheduling import cancel as cancelling
from backend.search import query
from backend.search.query import Query

PATH = "/notifications/v1"
SEND = "notifications:send"
_TAGS = ["Notifications"]
_AnyRequest = Request[Any, Any, Any]


class Dispatched(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a notification that was accepted, now or before; ``send_at`` is the moment that it asks for."""

    notification_id: str
    status: NotificationStatus
    links: Links
    mode: Mode
    duplicate: bool = False
    warnings: list[FieldError] = []
    send_at: datetime | None = None


@lru_cache(maxsize=1)
def intake() -> Admission:
    """Return this process's way into intake: all requests that wait are accepted in one transaction."""
    return Admission(Waker().ring)


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
    with large_bodies.memory.taken(principal(request).service_id) as reader:
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
    who = client.service_id, client.api_client_id
    outcome = await intake().submit(Submission(*who, raw, key, refusal, uid, manner=client.manner))
    middleware.about(scope, outcome.notification_id)
    if isinstance(outcome, Accepted):
        follow(client, outcome)
        return Response(dispatched(outcome), status_code=200 if outcome.duplicate else 202)
    return errors.respond(outcome.problem, outcome.notification_id, outcome.status)


def idempotency_key(scope: Scope) -> str | None:
    """Return the key of a request; raises Problem for one that cannot be used."""
    return repeats.read_key([value.decode("latin-1") for name, value in scope["headers"] if name == b"idempotency-key"])


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
        outcome.notification_id,
        NotificationStatus(outcome.status),
        links,
        outcome.mode,
        outcome.duplicate,
        list(outcome.warnings),
        outcome.send_at,
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
    """Validate and render a notification with nothing stored and nothing sent."""
    client = principal(request)
    bodies.see_that_it_is_json(request)
    with large_bodies.memory.taken(principal(request).service_id) as reader:
        raw = await reader.read(request)
        submission = Submission(client.service_id, client.api_client_id, raw, manner=client.manner)
        read = await sync_to_thread(content.read, submission)
        if admission.may_be_needed([submission]):
            (read,) = await admission.scanned([read])
        return await sync_to_thread(_explain, read)


def _explain(read: Content) -> Explanation:
    with unavailable_without_database():
        return explaining.explain(read)


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
    return _report(principal(request).service_id, _uid(notification_id), _after(deliveries, events))


def _report(service_id: int, uid: UUID | None, after: After = notification.BEGINNING) -> NotificationReport:
    with unavailable_without_database(), db.current().read() as session:
        found = notification.find(session, service_id, uid, after) if uid else None
        report = notification.describe(session, found, _links(found)) if found else None
    if report is None:
        raise _unknown()
    return report


def _unknown() -> Problem:
    return Problem("not_found", "This service has no notification of this id.")


@delete(
    f"{PATH}/{{notification_id:str}}",
    guards=[bearer],
    opt={"scope": SEND, "query": ("channel",)},
    status_code=200,
    responses=errors.documented(400, 401, 403, 404, 409, 429, 503),
    tags=_TAGS,
    operation_id="cancelNotification",
    summary="Cancel a notification",
    sync_to_thread=True,
)
def cancel(
    request: _AnyRequest,
    notification_id: Annotated[str, Parameter(description="The id that sending answered.", max_length=64)],
    channel: Annotated[ChannelName | None, Parameter(description="Only the messages of this channel.")] = None,
) -> NotificationReport:
    """Cancel what of a notification has not left: what waits for its moment, for a try, or in a batch.

    What has left cannot be taken back, and goes on; where nothing is left to be cancelled the answer is 409
    `already_sent`. Cancelling again what was cancelled changes nothing and answers the same.
    """
    see_that_none_is_null(request)
    caller, uid = principal(request), _uid(notification_id)
    if uid is None:
        raise _unknown()
    only = Channel(channel) if channel else None
    with unavailable_without_database():
        cancelling.cancel(caller.service_id, uid, Actor("client", caller.client_id), channel=only)
    return _report(caller.service_id, uid)


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
    delivery = parameters.next_cursor(more.delivery)
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


_FILTERS = (
    "status",
    "mode",
    "priority",
    "template_id",
    "recipient",
    "aggregator_id",
    "created_from",
    "created_to",
    "q",
    "address",
    "limit",
    "cursor",
)
_LONGEST_ADDRESS = 2048
_SEARCHED = (
    "Only those that have all of these words, or words that begin so: in the subject, an address, a recipient, a value"
    " of the fields, the template, the aggregator or the job; or that have this in an id: a part of their own, or that"
    " which a provider gave."
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
    status: Annotated[StatusName | None, Parameter(description="Only those of this status.")] = None,
    mode: Annotated[ModeName | None, Parameter(description="Only those that could reach these.")] = None,
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
    q: Annotated[str | None, Parameter(max_length=query.MOST_CHARACTERS, description=_SEARCHED)] = None,
    address: Annotated[
        str | None, Parameter(max_length=_LONGEST_ADDRESS, description=f"Only those to this address. {parameters.PLUS}")
    ] = None,
    limit: parameters.Limit = 50,
    cursor: parameters.Cursor = None,
) -> NotificationPage:
    """List the service's notifications, newest first.

    What `q` and `address` find is found within a second or two of its acceptance.
    """
    see_that_none_is_null(request)
    wanted = notifications.Filter(
        status=status,
        mode=mode,
        priority=priority,
        template_id=plain(template_id, "template_id"),
        recipient=plain(recipient, "recipient"),
        aggregator_id=plain(aggregator_id, "aggregator_id"),
        created_from=aware(request, "created_from", created_from),
        created_to=aware(request, "created_to", created_to),
        query=_query(plain(q, "q"), plain(address, "address")),
    )
    before = parameters.after(cursor, int)
    with unavailable_without_database(), db.current().read() as session:
        rows, last = notifications.rows(session, principal(request).service_id, wanted, limit=limit, before=before)
    return NotificationPage(rows, parameters.next_cursor(last))


def _query(text: str | None, address: str | None) -> Query | None:
    return query.read(text, address) if (text or "").strip() or (address or "").strip() else None


ROUTES = [send, explain, show, cancel, index]
