"""The switches by which operators stop a channel for the whole installation."""

from backend.channels.records import SWITCHED
from backend.intake.schema import NotificationIn
from backend.lib import settings
from backend.lib.problems import FieldError, Problem

_RETRY_AFTER_SECONDS = 300


def is_on(channel: str) -> bool:
    """Tell whether the operators let a channel be used; those without a switch always are."""
    if channel not in SWITCHED:
        return True
    on: bool = getattr(settings.current(), f"{channel.lower()}_enabled")
    return on


def stopped(notification: NotificationIn) -> Problem | None:
    """Say which channels of a notification are switched off, if any is: nothing of it is taken then."""
    errors = [
        FieldError(f"{notification.pointer(index)}/type", "channel_unavailable", f"{channel.type} is switched off.")
        for index, channel in enumerate(notification.every_channel)
        if not is_on(channel.type)
    ]
    if not errors:
        return None
    detail = f"{errors[0].detail} The operators of this installation have stopped the channel for now."
    return Problem("channel_unavailable", detail, errors=errors, headers={"Retry-After": str(_RETRY_AFTER_SECONDS)})
