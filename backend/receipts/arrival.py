"""Where a bounce or a complaint arrives, whichever way it comes: by the pipe, over HTTP, or out of a mailbox."""

from backend.delivery.outcomes import receipts
from backend.lib.problems import Problem
from backend.receipts import bounce_reading


def take(message: bytes) -> int:
    """Record the news in a bounce or a complaint; return how many pieces there were.

    Raises:
        Problem: ``invalid_request`` for what is no mail.
    """
    try:
        events = bounce_reading.read(message)
    except ValueError as error:
        raise Problem("invalid_request", str(error)) from error
    receipts.receive(receipts.BOUNCE, events, message)
    return len(events)
