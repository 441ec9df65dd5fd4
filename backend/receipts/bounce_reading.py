"""Bounces and complaints as they arrive, by the pipe, over HTTP or out of a mailbox: read, and recorded.

They are read in a child process: a mail that is made to eat its reader costs that child alone.
"""

import msgspec

from backend.channels.base import ReceiptEvent
from backend.delivery.outcomes import receipts
from backend.lib.child import ChildFailed, Children, NoneFree
from backend.lib.problems import Problem
from backend.receipts.bounce_child import Answer
from backend.receipts.bounces import MAX_BYTES

_CHILDREN = Children("backend.receipts.bounce_child")
_SECONDS = 10.0
_START_SECONDS = 20.0
_PATIENCE_SECONDS = 30.0
_RETRY_SECONDS = 30
_decode = msgspec.json.Decoder(Answer).decode


def take(message: bytes) -> int:
    """Record the news in a bounce or a complaint; return how many pieces there were.

    Raises:
        Problem: ``invalid_request`` for what is no mail.
    """
    try:
        events = read(message)
    except ValueError as error:
        raise Problem("invalid_request", str(error)) from error
    receipts.receive(receipts.BOUNCE, events, message)
    return len(events)


def read(message: bytes) -> list[ReceiptEvent]:
    """Return the news in a bounce, as ``bounces.read`` does.

    Raises:
        ValueError: for what cannot be read as a mail, or not in time.
        Problem: ``unavailable`` while too many others are being read.
    """
    if not message:
        return []
    try:
        answers = _CHILDREN.ask_all(
            [b"", message[:MAX_BYTES]], _SECONDS, start_seconds=_START_SECONDS, patience=_PATIENCE_SECONDS
        )
    except ChildFailed as failure:
        if failure.unheard:
            raise _busy() from None
        raise ValueError("The message takes too long, or too much memory, to be read as a mail.") from None
    except (NoneFree, OSError):
        raise _busy() from None
    answer = _decode(answers[1])
    if not answer.readable:
        raise ValueError("The message cannot be read as a mail.")
    return answer.events


def _busy() -> Problem:
    detail = f"The message was not read, since there is no process free for it. Try again in {_RETRY_SECONDS} seconds."
    return Problem("unavailable", detail, headers={"Retry-After": str(_RETRY_SECONDS)})
