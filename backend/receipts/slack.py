"""``/receipts/slack``: where Slack tells that somebody pressed a button (its app's request URL for interactivity)."""

from collections.abc import Sequence
from typing import Any

from anyio import to_thread
from litestar import MediaType, Request, Response, post

from backend.channels.base import Channel, ForgedReceipt, ReceiptRequest
from backend.channels.slack import SlackProvider
from backend.channels.slack_presses import Press
from backend.delivery.providers import routes
from backend.intake import buttons
from backend.lib import metrics
from backend.lib.problems import Problem

SOURCE = "slack"


@post("/receipts/slack", status_code=200, summary="Report a press of a button", include_in_schema=False)
async def report(request: Request[Any, Any, Any]) -> Response[str]:
    """Take a press: 200 with nothing for every one that is signed, which is what Slack wants within three seconds."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    asked = ReceiptRequest(method="POST", url=str(request.url), headers=headers, body=await request.body())
    provider, press = _verified(asked)
    if press is not None:
        first = await to_thread.run_sync(buttons.pressed, provider, press)
        metrics.receipts(SOURCE, "acknowledged", "applied" if first else "repeated").inc()
    return Response("", media_type=MediaType.TEXT, status_code=200)


def _verified(request: ReceiptRequest) -> tuple[str, Press | None]:
    """Return whose press it is, and the press, by the first bot whose secret it is signed with.

    Raises:
        Problem: ``forged_receipt`` if it is signed with none of their secrets.
    """
    bots = [one for one in routes.routes()[Channel.SLACK] if isinstance(one, SlackProvider)]
    reason = "no Slack bot is set up here"
    for bot in bots:
        try:
            return bot.name, bot.press(request)
        except ForgedReceipt as forged:
            reason = str(forged)
        except ValueError as error:
            raise Problem("invalid_request", "The press is signed, but cannot be read.") from error
    metrics.receipts(SOURCE, "any", "forged").inc()
    raise Problem("forged_receipt", f"Nothing was read: {reason}.")


ROUTES: Sequence[Any] = (report,)
