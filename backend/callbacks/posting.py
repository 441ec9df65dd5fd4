"""One attempt to post a message, and recording what came of it."""

import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.callbacks import endpoints, schedule, signing
from backend.callbacks.claims import Claim
from backend.db import database as db
from backend.db.models.callbacks import CallbackEndpoint, CallbackMessage
from backend.lib import backoff, clock, keyring, metrics, outbound, traces
from backend.lib.outbound import OutboundError

_TIMEOUT = 15.0
# Answers are not read: the status says all, and what they hold is not shown to anybody.
_MAX_ANSWER = 4096
_GONE = 410


class _Subject(msgspec.Struct):
    notification_id: UUID


class _Payload(msgspec.Struct):
    data: _Subject


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one attempt: a status, or none and the reason; ``wish`` is the pause that was asked for."""

    status: int | None
    error: str | None
    wish: timedelta | None = None

    @property
    def taken(self) -> bool:
        """Tell whether the message was taken: only a 2xx says so."""
        return self.status is not None and 200 <= self.status < 300


def post(claim: Claim) -> Answer:
    """Make one attempt; every fault of the address or of the way there becomes an answer."""
    with db.current().read() as session:
        try:
            secrets = endpoints.signing_secrets(session, claim.endpoint_id)
        except ValueError:
            secrets = []
    if not secrets:
        return Answer(status=None, error="There is no signing secret that can be read; make a new one.")
    try:
        url = keyring.unseal_address(claim.sealed_url)
    except ValueError:
        return Answer(status=None, error="The address cannot be read with the present secret key; set it anew.")
    began = time.perf_counter()
    answer = _exchange(claim, url, secrets)
    if traces.enabled():
        _trace(claim, answer, time.perf_counter() - began)
    return answer


def _exchange(claim: Claim, url: str, secrets: list[str]) -> Answer:
    body, now = claim.payload.encode(), clock.now()
    headers = {"Content-Type": "application/json", "User-Agent": "Carillon"}
    headers |= signing.headers(secrets, claim.uid, now, body)
    try:
        answer = outbound.request(
            "POST", url, headers=headers, body=body, timeout=_TIMEOUT, max_bytes=_MAX_ANSWER, guarded=True
        )
    except OutboundError as error:
        return Answer(status=None, error=error.reason)
    wish = backoff.retry_after(answer.headers.get("retry-after"), schedule.LONGEST_WISH)
    return Answer(status=answer.status, error=_fault(answer.status), wish=wish)


def _trace(claim: Claim, answer: Answer, seconds: float) -> None:
    attributes = {"carillon.attempt": claim.attempts + 1, "http.response.status_code": answer.status or 0}
    uid = msgspec.json.decode(claim.payload, type=_Payload).data.notification_id
    traces.mark(uid, "callback", attributes, seconds=seconds, fault=None if answer.taken else "not taken")


def _fault(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"The address answered {status}, a redirect, which is not followed."
    return f"The address answered {status}."


def record(session: Session, claim: Claim, answer: Answer) -> None:
    """Write down what came of an attempt, on the message and on its address; nothing if the claim was lost."""
    now = clock.now()
    again = None if answer.taken else schedule.next_attempt(claim.attempts + 1, now, answer.wish)
    values: dict[str, Any] = {
        "attempts": claim.attempts + 1,
        "claimed_by": None,
        "tried_at": now,
        "last_status": answer.status,
        "last_error": answer.error,
        "status": "DELIVERED" if answer.taken else "FAILED" if again is None else "PENDING",
    }
    if again is not None:
        values["due_at"] = again
    # The address first, as all who write both do.
    row = session.scalar(
        select(CallbackEndpoint).where(CallbackEndpoint.id == claim.endpoint_id).with_for_update(key_share=True)
    )
    mine = (CallbackMessage.id == claim.id, CallbackMessage.claimed_by == claim.token)
    written = session.execute(
        update(CallbackMessage)
        .where(*mine)
        .values(values)
        .returning(CallbackMessage.id)
        .execution_options(synchronize_session=False)
    ).first()
    if row is None or written is None:
        return
    if answer.taken:
        row.failing_since, row.failures, row.resume_at = None, 0, None
    else:
        _failed(session, row, answer, now, given_up=again is None)
    metrics.callbacks(values["status"].lower() if answer.status != _GONE else "gone").inc()


def _failed(session: Session, row: CallbackEndpoint, answer: Answer, now: datetime, *, given_up: bool) -> None:
    """Let an address that failed rest, or switch it off: at once if it says that it is gone."""
    row.failures += 1
    row.failing_since = row.failing_since or now
    pause = schedule.rest(row.failures)
    if answer.status in {429, 502, 503, 504}:
        pause = max(pause, answer.wish or timedelta())
    row.resume_at = now + pause
    if answer.status == _GONE:
        endpoints.switch_off(session, row, "The address answered 410, that it is gone for good.", audit.SYSTEM)
    elif given_up and now - row.failing_since >= schedule.LONGEST_FAILING:
        days = (now - row.failing_since).days
        why = f"The address has taken no message for {days} days. The last time: {answer.error}"
        endpoints.switch_off(session, row, why, audit.SYSTEM)
