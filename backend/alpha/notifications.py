"""Sending text messages and e-mails, and reading what became of them."""

from typing import Any

from anyio import to_thread
from litestar import Request, Response, get, post
from litestar.params import FromPath

from backend.accounts.faults import unavailable_without_database
from backend.alpha import schemas, shapes, tokens, validation
from backend.alpha.faults import refuse, row_id
from backend.channels.base import Channel
from backend.db import database as db
from backend.intake import modes, plain
from backend.intake.plain import PlainMessage, Refusal
from backend.jobs import messages as reports

_REFUSALS = {
    "no_service": (400, "No service associated with these credentials"),
    "inactive": (400, "Service is inactive"),
    "unknown_job": (400, "No job associated with this job id"),
    "foreign_job": (400, "Invalid job id for these credentials"),
    "limit_exceeded": (429, "Exceeded sending limits for today"),
}
_RESTRICTED = {
    Channel.SMS: "Restricted service: cannot send notification to this number",
    Channel.EMAIL: "Restricted service: cannot send notification",
}
Answer = Response[dict[str, Any]]


@post("/sms/notification", guards=[tokens.client])
async def send_sms(request: Request[Any, Any, Any]) -> Answer:
    """Send a text message."""
    _see_that_it_is_on(Channel.SMS)
    given = await validation.read(request, "notification", schemas.sms())
    return await _send(request, _message(Channel.SMS, given))


@post("/email/notification", guards=[tokens.client])
async def send_email(request: Request[Any, Any, Any]) -> Answer:
    """Send an e-mail."""
    _see_that_it_is_on(Channel.EMAIL)
    given = await validation.read(request, "notification", schemas.email())
    return await _send(request, _message(Channel.EMAIL, given))


@get("/notification/{notification_id:int}", guards=[tokens.client], sync_to_thread=True)
def show(request: Request[Any, Any, Any], notification_id: FromPath[int]) -> Answer:
    """Show one notification."""
    return _shown(row_id(notification_id), tokens.caller(request).reach, 200)


@get("/notifications", guards=[tokens.client], sync_to_thread=True)
def index(request: Request[Any, Any, Any]) -> Answer:
    """List the notifications of the token's service."""
    with unavailable_without_database(), db.current().read() as session:
        found = reports.of_service(session, tokens.caller(request).service_id)
    return Response({"notifications": [shapes.notification(report) for report in found]})


@get("/job/{job_id:int}/notifications", guards=[tokens.client], sync_to_thread=True)
def of_job(request: Request[Any, Any, Any], job_id: FromPath[int]) -> Answer:
    """List the notifications of a job, newest first."""
    with unavailable_without_database(), db.current().read() as session:
        found = reports.of_job(session, row_id(job_id), tokens.caller(request).reach)
    return Response({"notifications": [shapes.notification(report) for report in found]})


def _see_that_it_is_on(channel: Channel) -> None:
    """Refuse before the body is looked at, as the alpha did: what is switched off takes nothing, good or bad."""
    if not modes.is_on(channel.value):
        refuse(503, f"{channel.value} is unavailable")


def _message(channel: Channel, given: dict[str, Any]) -> PlainMessage:
    subject = given.get("subject")
    return PlainMessage(
        channel=channel,
        to=given["to"],
        text=given["message"],
        # A subject is one line, whatever white space it came with.
        subject=None if subject is None else " ".join(subject.split()),
        sender=given.get("from"),
        job_id=given.get("jobId"),
        description=given.get("description"),
    )


async def _send(request: Request[Any, Any, Any], message: PlainMessage) -> Answer:
    return await to_thread.run_sync(_sent, tokens.caller(request).service_id, message)


def _sent(service_id: int, message: PlainMessage) -> Answer:
    try:
        with unavailable_without_database():
            notification_id = plain.accept(service_id, message)
    except Refusal as refusal:
        if refusal.problem is not None and refusal.reason == "held_back":
            refuse(429, refusal.problem.detail, refusal.problem.headers)
        if refusal.reason == "restricted":
            refuse(400, _RESTRICTED[message.channel])
        refuse(*_REFUSALS[refusal.reason])
    return _shown(notification_id, service_id, 201)


def _shown(notification_id: int, reach: int | None, status: int) -> Answer:
    with unavailable_without_database(), db.current().read() as session:
        report = reports.report(session, notification_id, reach)
    if report is None:
        refuse(404, "Not found")
    return Response({"notification": shapes.notification(report)}, status_code=status)


ROUTES = [send_sms, send_email, show, index, of_job]
