"""The service desks that are set up here, each of which may tell of its tickets."""

from backend.channels.base import Channel
from backend.channels.provider_address import location
from backend.delivery.providers import routes


def listed() -> list[str]:
    """List where they are."""
    return list(dict.fromkeys(location(provider.name) for provider in routes.routes()[Channel.FRESHSERVICE]))
