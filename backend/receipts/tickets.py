"""``/receipts/freshservice``: where a service desk tells that a ticket was closed.

Freshservice signs nothing that its workflows post. They send a token along instead, as a header field or as the
password of the sign-in that the workflow editor asks for; each desk has its own, made from the secret key.
"""

import re
from base64 import b64decode
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from anyio import to_thread
from litestar import Request, Response, post

from backend.intake import tickets
from backend.lib import metrics
from backend.lib.problems import Problem
from backend.receipts import secret

SOURCE = "freshservice"
_NUMBER = re.compile(r"[#A-Za-z-]{0,10}([0-9]{1,18})")
# As the desk names them, and as its interface numbers them.
_OVER = frozenset({"resolved", "closed", "4", "5"})
_LONGEST = 64 * 1024


class _News(msgspec.Struct):
    """What a workflow posts. The number may have its prefix, as in ``INC-17``; ``agent`` is who closed the ticket."""

    ticket_id: int | Annotated[str, msgspec.Meta(max_length=40)]
    status: int | Annotated[str, msgspec.Meta(max_length=100)]
    agent: str | None = None


class _Wrapped(msgspec.Struct):
    """What it posts where its editor was told to send all members of its own choice."""

    freshdesk_webhook: dict[str, Any]


@post("/receipts/freshservice", status_code=204, summary="Report on tickets", include_in_schema=False)
async def report(request: Request[Any, Any, Any]) -> Response[None]:
    """Take the news of a ticket: 204 for all that come with a token, also where a ticket is open or none of ours."""
    desk = _desk(request.headers.get("authorization", ""))
    if desk is None:
        metrics.receipts(SOURCE, "any", "forged").inc()
        raise Problem("forged_receipt", "Nothing was read: the token of this service desk is missing or wrong.")
    body = await request.body()
    if len(body) > _LONGEST:
        raise Problem("too_large", f"News of a ticket has at most {_LONGEST // 1024} KiB.")
    news = _read(body)
    number = _NUMBER.fullmatch(str(news.ticket_id).strip())
    if number is None:
        raise Problem("invalid_request", "The member 'ticket_id' must be the ticket's number: {{ticket.id_numeric}}.")
    if str(news.status).strip().casefold() in _OVER:
        ended = await to_thread.run_sync(tickets.closed, desk, str(int(number[1])), news.agent)
        metrics.receipts(SOURCE, "ticket_closed", "applied" if ended else "repeated").inc()
    return Response(None, status_code=204)


def _desk(authorization: str) -> str | None:
    """Return where the desk is whose token came along."""
    given = _tokens(authorization)
    known = [desk for desk in secret.desks() for token in given if secret.is_desk_token(desk, token)]
    return known[0] if known else None


def _tokens(authorization: str) -> Sequence[str]:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return [value.strip()]
    if scheme.lower() != "basic":
        return []
    try:
        user, _, password = b64decode(value.strip(), validate=True).decode().partition(":")
    except ValueError:
        return []
    # Its editor takes a name and a password, or a key alone, which it sends as the name.
    return [password, user]


def _read(body: bytes) -> _News:
    try:
        wrapped = msgspec.json.decode(body, type=_Wrapped)
    except (msgspec.DecodeError, RecursionError):
        return _plain(body)
    members = wrapped.freshdesk_webhook
    known = {
        "ticket_id": members.get("ticket_id", members.get("id_numeric")),
        "status": members.get("ticket_status", members.get("status")),
        "agent": members.get("ticket_agent_name", members.get("agent")),
    }
    return _plain(msgspec.json.encode(known))


def _plain(body: bytes) -> _News:
    try:
        return msgspec.json.decode(body, type=_News)
    except (msgspec.DecodeError, RecursionError) as error:
        said = 'News of a ticket is {"ticket_id", "status", "agent"?} as JSON, which this is not.'
        raise Problem("invalid_request", said) from error


ROUTES: Sequence[Any] = (report,)
