"""The wake-up by which workers take up messages to client systems; their threads are the webhook sender's own."""

from backend.callbacks.sender import WebhookSender
from backend.lib import queue

# Behind every delivery, which Huey gives out by greater numbers.
_PRIORITY = 5


class _Present:
    """The webhook sender of this process; set by the worker when it starts."""

    webhook_sender: WebhookSender | None = None


def use(webhook_sender: WebhookSender | None) -> None:
    """Post with this webhook sender from now on."""
    _Present.webhook_sender = webhook_sender


def webhook_sender() -> WebhookSender | None:
    """Return the webhook sender of this process, if it has one."""
    return _Present.webhook_sender


@queue.task
def post() -> None:
    """Post what is due."""
    if _Present.webhook_sender is not None:
        _Present.webhook_sender.post_some()


def wake() -> None:
    """Wake a worker for new messages."""
    post(priority=_PRIORITY)
