"""The nudge by which workers take up messages to client systems; their threads are the courier's own."""

from backend.callbacks.courier import Courier
from backend.lib import queue

# Behind every delivery, which Huey gives out by greater numbers.
_PRIORITY = 5


class _Present:
    """The courier of this process; set by the worker when it starts."""

    courier: Courier | None = None


def use(courier: Courier | None) -> None:
    """Post with this courier from now on."""
    _Present.courier = courier


def courier() -> Courier | None:
    """Return the courier of this process, if it has one."""
    return _Present.courier


@queue.task
def post() -> None:
    """Post what is due."""
    if _Present.courier is not None:
        _Present.courier.post_some()


def nudge() -> None:
    """Wake a worker for new messages."""
    post(priority=_PRIORITY)
