"""Which provider a channel goes out by, and each thread's open connection to it."""

import threading
from functools import lru_cache

from backend.channels.base import Channel, Connection, Provider
from backend.channels.registry import providers_for
from backend.lib import settings
from backend.lib.settings import SettingError


@lru_cache(maxsize=1)
def routes() -> dict[Channel, list[Provider]]:
    """Return the providers of each channel in order of preference.

    Raises:
        SettingError: in one sentence that names the setting.
    """
    configuration = settings.current()
    addresses = {
        Channel.EMAIL: ("EMAIL", configuration.email_providers),
        Channel.SMS: ("SMS", configuration.sms_providers),
        Channel.SLACK: ("SLACK", configuration.slack_providers),
        Channel.FRESHSERVICE: ("FRESHSERVICE", configuration.freshservice_providers),
    }
    made: dict[Channel, list[Provider]] = {channel: [] for channel in Channel}
    for channel, (name, given) in addresses.items():
        try:
            made[channel] = providers_for(channel, given)
        except ValueError as error:
            raise SettingError(f"CARILLON_{name}_PROVIDERS cannot be used: {error}") from error
    return made


def preferred(channel: Channel) -> str:
    """Name what a message on this channel would go out by: a provider, or the outbox."""
    providers = routes()[channel]
    return providers[0].name if providers else "outbox"


class Connections(threading.local):
    """One thread's connections, kept open from one group of messages to the next."""

    def __init__(self) -> None:
        self._open: dict[str, Connection] = {}

    def to(self, provider: Provider) -> Connection:
        """Return this thread's connection to a provider."""
        key = f"{provider.channel.value} {provider.name}"
        if key not in self._open:
            self._open[key] = provider.open()
        return self._open[key]

    def close(self) -> None:
        """Let go of every connection of this thread."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()
