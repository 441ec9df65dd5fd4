"""The switches by which operators stop a channel for the whole installation."""

from backend.intake.schema import NotificationIn
from backend.lib import settings
from backend.lib.problems import FieldError, Problem

_RETRY_AFTER_SECONDS = 300


def is_on(channel: str) -> bool:
    """Tell whether the operators let a channel be used; those without a switch always are."""
    configuration = settings.current()
    return {"EMAIL": configuration.email_enabled, "SMS": configuration.sms_enabled}.get(channel, True)


def stopped(notification: NotificationIn) -> Problem | None:
    """Say which channels of a notification are switched off, if any is: nothing of it is taken then."""
    errors = [
        FieldError(f"/channels/{index}/type", "channel_unavailable", f"{channel.type} is switched off.")
        for index, channel in enumerate(notification.channels)
        if not is_on(channel.type)
    ]
    if not errors:
        return None
    detail = f"{errors[0].detail} The operators of this installation have stopped the channel for now."
    return Problem("channel_unavailable", detail, errors=errors, headers={"Retry-After": str(_RETRY_AFTER_SECONDS)})
