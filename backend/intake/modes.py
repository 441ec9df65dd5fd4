"""What may leave at all: messages held to their mode, and channels that the operators have switched off."""

from collections.abc import Iterator, Sequence

from backend.accounts.reach import Reach
from backend.channels import redirects
from backend.channels.base import Channel
from backend.channels.records import SWITCHED
from backend.db.models.accounts import Mode
from backend.intake.content import Content
from backend.intake.schema import ChannelIn
from backend.lib import settings
from backend.lib.problems import FieldError, Problem

CODE = "recipient_not_in_team"
WHY = (
    "is neither a member's nor a guest's, and only these are reached while the service is on trial or its API client"
    " has the mode team"
)
_RETRY_AFTER_SECONDS = 300


def beyond(
    pointer: str,
    channel: ChannelIn,
    targets: Sequence[tuple[str, Sequence[str]]],
    reach: Reach,
    redirect: str | None,
) -> Iterator[FieldError]:
    """Say which recipients of a channel would be sent something beyond a reach; targets have their recipients."""
    outside = {
        name for address, names in targets if not reach.has(*lands(channel.type, address, redirect)) for name in names
    }
    for position, name in enumerate(channel.recipient):
        if name in outside:
            detail = f"One of the {channel.type} addresses of {name} {WHY}."
            yield FieldError(f"{pointer}/{channel.recipient_member}/{position}", CODE, detail)


def see_that_it_is_reached(reach: Reach, channel: Channel, address: str) -> None:
    """Refuse a message beyond a reach.

    Raises:
        Problem: ``recipient_not_in_team``.
    """
    if not reach.has(channel, address):
        raise Problem(CODE, f"Nothing was sent: the address {WHY}.")


def of_service(*, live: bool) -> Mode:
    """Return the mode of what a service sends without an API client; a client says itself whom it reaches."""
    return Mode.LIVE if live else Mode.TEAM


def lands(channel: str, address: str, redirect: str | None) -> tuple[Channel, str]:
    """Return the channel and address at which a message really arrives."""
    way = redirects.way(Channel(channel), address, redirect)
    return way.channel, way.address


# The switches by which operators stop a channel for the whole installation.


def is_on(channel: str) -> bool:
    """Tell whether the operators let a channel be used; those without a switch always are."""
    if channel not in SWITCHED:
        return True
    on: bool = getattr(settings.current(), f"{channel.lower()}_enabled")
    return on


def stopped(content: Content) -> Problem | None:
    """Say which channels of a notification are switched off, if any is: nothing of it is taken then."""
    errors = [
        FieldError(f"{content.pointers[index]}/type", "channel_unavailable", f"{channel.type} is switched off.")
        for index, channel in enumerate(content.every_channel)
        if not is_on(channel.type)
    ]
    if not errors:
        return None
    detail = f"{errors[0].detail} The operators of this installation have stopped the channel for now."
    return Problem("channel_unavailable", detail, errors=errors, headers={"Retry-After": str(_RETRY_AFTER_SECONDS)})
