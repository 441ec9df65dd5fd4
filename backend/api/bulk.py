"""Several notifications in one request: one token, one commit, and an answer for each."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.concurrency import sync_to_thread
from litestar.types import Scope

from backend.accounts import rate_limits
from backend.accounts.access import Principal
from backend.accounts.faults import unavailable_without_database
from backend.accounts.rate_limits import Quota
from backend.api import bodies, errors, guards, large_bodies, notifications
from backend.api.openapi_responses import IDEMPOTENCY_KEY
from backend.db.models.accounts import Mode
from backend.db.models.notifications import NotificationStatus
from backend.intake import repeats
from backend.intake.content import Submission
from backend.intake.entries import Accepted, IntakeResult
from backend.intake.schema import MAX_BULK, BulkIn
from backend.lib import strict_json
from backend.lib.http import catalogue_url
from backend.lib.problems import FieldError, details
from backend.reports.model import Links

PATH = f"{notifications.PATH}/bulk"


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one notification: ``status`` 202 (accepted), 200 (accepted before), or that of its problem.

    An accepted one has ``notification_id``, ``notification_status``, ``links``, ``mode`` and, where it asks for a
    moment, ``send_at``; a refused one has the members of ``application/problem+json``.
    """

    status: int
    notification_id: str | None = None
    notification_status: NotificationStatus | None = None
    links: Links | None = None
    mode: Mode | None = None
    duplicate: bool = False
    type: str | None = None
    title: str | None = None
    detail: str | None = None
    code: str | None = None
    errors: list[FieldError] | None = None
    warnings: list[FieldError] | None = None
    send_at: datetime | None = None


class Results(msgspec.Struct, frozen=True):
    """One entry for each notification, in their order."""

    results: list[Result]


class _Frame(msgspec.Struct, forbid_unknown_fields=True):
    notifications: list[msgspec.Raw]


_frame = msgspec.json.Decoder(_Frame)


@post(
    PATH,
    guards=[guards.bearer],
    opt={"scope": notifications.SEND, "body": BulkIn, "parameters": (IDEMPOTENCY_KEY,)},
    status_code=200,
    request_max_body_size=large_bodies.MOST_BYTES,
    responses=errors.documented(400, 401, 403, 413, 415, 422, 429, 503),
    tags=["Notifications"],
    operation_id="sendNotifications",
    summary="Send up to 100 notifications",
)
async def send(request: Request[Any, Any, Any]) -> Response[Results]:
    """Validate each notification alone, as if it were sent by itself; each counts against the rate limit.

    The answer is 200 whatever became of them. ``status`` of a result is the HTTP number that sending the notification
    by itself would have answered, and a refused one has the members of that problem.

    An `Idempotency-Key` header is that of all of them: the same key and notifications are answered as before, the
    same key with other notifications is refused with 422, and nothing of it is taken.
    """
    bodies.see_that_it_is_json(request)
    with large_bodies.memory.taken(guards.principal(request).service_id) as reader:
        raw = await reader.read(request, several=True)
        return await take(guards.principal(request), raw, request.scope)


async def take(client: Principal, raw: bytes, scope: Scope) -> Response[Results]:
    """Hand the notifications of one body over to intake, and answer."""
    key = notifications.idempotency_key(scope)
    parts = _split(raw) if len(raw) <= bodies.MAX_BYTES else await sync_to_thread(_split, raw)
    who, manner = (client.service_id, client.api_client_id), client.manner
    given = [Submission(*who, part, key=key, shares_key=True, manner=manner) for part in parts]
    if key is not None:
        await sync_to_thread(_hold_together, given, key)
    within, quota = await _count(client, len(given), scope)
    over = rate_limits.refusal(quota)
    submissions = [
        msgspec.structs.replace(one, refusal=None if number < within else over) for number, one in enumerate(given)
    ]
    outcomes = await notifications.intake().submit_all(submissions)
    for outcome in outcomes:
        if isinstance(outcome, Accepted):
            notifications.follow(client, outcome)
    return Response(Results(list(_results(outcomes))), status_code=200)


def _hold_together(submissions: Sequence[Submission], key: str) -> None:
    with unavailable_without_database():
        repeats.check_together(submissions, key)


def _split(raw: bytes) -> list[bytes]:
    """Part a body into the texts of its notifications.

    Raises:
        Problem: for malformed JSON outside of them, or faults against the model.
    """
    try:
        parts = [bytes(part) for part in _frame.decode(raw).notifications]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        parts = []
    # Of a member that stands twice one would be lost, and its quotation marks with it.
    if 1 <= len(parts) <= MAX_BULK and raw.count(b'"') == 2 + sum(part.count(b'"') for part in parts):
        return parts
    data = strict_json.parse(raw)
    found = data.get("notifications") if isinstance(data, dict) and len(data) == 1 else None
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_BULK:
        strict_json.check(BulkIn, data)  # says what is wrong
    return [json.dumps(one).encode() for one in found or ()]


async def _count(client: Principal, wanted: int, scope: Scope) -> tuple[int, Quota]:
    """Count what the guard has not: all but the first; return how many are within the limit."""
    quota: Quota = scope["state"][guards.QUOTA]
    granted = 0
    if wanted > 1:
        granted, quota = await rate_limits.take(client.api_client_id, wanted - 1)
        scope["state"][guards.QUOTA] = quota
    return 1 + granted, quota


def _results(outcomes: Sequence[IntakeResult]) -> Iterator[Result]:
    for outcome in outcomes:
        if isinstance(outcome, Accepted):
            one = notifications.dispatched(outcome)
            yield Result(
                status=200 if one.duplicate else 202,
                notification_id=one.notification_id,
                notification_status=one.status,
                links=one.links,
                mode=one.mode,
                duplicate=one.duplicate,
                warnings=one.warnings or None,
                send_at=one.send_at,
            )
        else:
            told = details(outcome.problem, catalogue_url(), outcome.notification_id, outcome.status)
            yield Result(**msgspec.structs.asdict(told))


ROUTES = [send]
