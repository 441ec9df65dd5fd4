"""``/receipts``: where providers report what became of messages, each report verified before it is read."""

import logging
from collections.abc import Sequence
from typing import Any

from anyio import to_thread
from litestar import Request, Response, post
from litestar.params import FromPath

from backend.channels.base import ForgedReceipt, ReceiptEvent, ReceiptRequest, Receiving
from backend.delivery.outcomes import receipts
from backend.delivery.providers import routes
from backend.lib import metrics, settings
from backend.lib.problems import Problem
from backend.receipts import bounce_reading, secret

logger = logging.getLogger(__name__)

_NOT_FOR_THIS = "Nothing was read: {}."


@post(
    "/receipts/bounce",
    status_code=204,
    summary="Report a bounce",
    description="Takes a delivery status notification (RFC 3464) or a complaint (RFC 5965) as a mail server pipes it, "
    "with the secret that `carillon receipts address` prints as bearer token.",
    include_in_schema=False,
)
async def bounce(request: Request[Any, Any, Any]) -> Response[None]:
    """Take a bounce or a complaint: 204 also where it is about nothing of ours."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.is_bounce_token(token.strip()):
        _count_forged(receipts.BOUNCE)
        raise Problem("forged_receipt", _NOT_FOR_THIS.format("the bearer token for bounces is missing or wrong"))
    body = await request.body()
    await to_thread.run_sync(bounce_reading.take, body)
    return Response(None, status_code=204)


@post("/receipts/{kind:str}", status_code=204, summary="Report on messages", include_in_schema=False)
async def report(request: Request[Any, Any, Any], kind: FromPath[str]) -> Response[None]:
    """Take a provider's report: 204 for every one that is signed, also where it repeats or is about nothing of ours."""
    providers = [one for row in routes.routes().values() for one in row if one.name.partition("://")[0] == kind]
    receiving = [one for one in providers if isinstance(one, Receiving)]
    if not receiving:
        raise Problem("not_found", "No provider that reports to this address is set up here.")
    news = _request(request, await request.body())
    events = await to_thread.run_sync(_verified, kind, receiving, news)
    await to_thread.run_sync(receipts.receive, kind, events, news.body)
    return Response(None, status_code=204)


def _request(request: Request[Any, Any, Any], body: bytes) -> ReceiptRequest:
    """Take the request as the provider signed it: at our public address, whatever proxies have made of it."""
    scope = request.scope
    query = scope["query_string"].decode("latin-1")
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    url = settings.current().base_url + scope["path"] + (f"?{query}" if query else "")
    return ReceiptRequest(method=str(scope["method"]), url=url, headers=headers, body=body)


def _verified(kind: str, providers: Sequence[Receiving], request: ReceiptRequest) -> list[ReceiptEvent]:
    """Return the news by the first provider that knows the signature for its own.

    Raises:
        Problem: ``forged_receipt`` if none does.
    """
    reasons: list[str] = []
    for provider in providers:
        try:
            return provider.receipts(request)
        except ForgedReceipt as forged:
            reasons.append(str(forged))
        except ValueError as error:
            logger.warning("A report to /receipts/%s cannot be read (%s)", kind, type(error).__name__)
            raise Problem("invalid_request", "The report is signed, but cannot be read.") from error
    _count_forged(kind)
    raise Problem("forged_receipt", _NOT_FOR_THIS.format(reasons[-1].rstrip(".")))


def _count_forged(source: str) -> None:
    metrics.receipts(source, "any", "forged").inc()


ROUTES: Sequence[Any] = (bounce, report)
