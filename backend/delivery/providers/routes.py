"""Which providers a channel has, whether a message goes out at all, and the open connections to them."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import cast
from urllib.parse import urlsplit

from backend.channels.base import Bursting, Channel, Connection, Keeping, Message, Paced, Provider, Scope
from backend.channels.records import RECORDS
from backend.channels.registry import KINDS, WITHOUT_SETTING, providers_for
from backend.delivery.providers.spooled import LetterRegister
from backend.lib import clock, setting_sources, settings
from backend.lib.settings import SettingError

SENDER, DOMAIN = ":sender:", ":domain:"


# What is held back, or slowed down, by itself beside a whole provider: an address, a sender, a recipient's domain.
#
# A destination is named by a digest, since an address may be a secret. A sender is one of its service: what is said of
# it may be shown to that service. What is said of a domain was said about a message of any service, and is shown to
# none.


def of_address(provider: Provider, address: str) -> str:
    """Name the address where it is held back by itself; empty where it shares the provider's state."""
    return _digest(address) if is_own_route(address) or interval_of(provider, address) is not None else ""


def of_message(message: Message) -> tuple[str, ...]:
    """Name the sender and the domain of a mail; those of other channels have none."""
    return tuple(_named(scope, message) for scope in (Scope.SENDER, Scope.DOMAIN) if message.channel is Channel.EMAIL)


def of_scope(scope: Scope, message: Message) -> str:
    """Name the destination that a refusal is about; empty where that is the provider, or the message alone."""
    mail = message.channel is Channel.EMAIL
    return _named(scope, message) if mail and scope in {Scope.SENDER, Scope.DOMAIN} else ""


def titled(destination: str, message: Message, words: str) -> str:
    """Say which sender or domain words are about."""
    if destination.startswith(SENDER):
        return f"mail from {message.sender} is refused: {words.rstrip('.')}."
    return f"mail to {_domain(message)} is refused: {words.rstrip('.')}." if destination.startswith(DOMAIN) else words


def is_own_route(address: str) -> bool:
    """Tell whether an address is itself the way to its readers, as that of a webhook is."""
    return "://" in address


def interval_of(provider: Provider, address: str) -> float | None:
    """Return the seconds between two messages to an address, if it has an interval of its own."""
    # Most have none, and to look for all that a protocol asks for takes long.
    return provider.interval(address) if hasattr(provider, "interval") and isinstance(provider, Paced) else None


def _named(scope: Scope, message: Message) -> str:
    if scope is Scope.SENDER:
        return SENDER + _digest(f"{message.service_id} {message.sender.casefold()}")
    return DOMAIN + _digest(_domain(message))


def _domain(message: Message) -> str:
    return message.address.rpartition("@")[2].casefold()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]


@lru_cache(maxsize=1)
def routes() -> dict[Channel, list[Provider]]:
    """Return the providers of each channel in order of preference.

    Raises:
        SettingError: in one sentence that names the setting.
    """
    made: dict[Channel, list[Provider]] = {channel: [] for channel in Channel}
    for channel, addresses in _configured().items():
        try:
            made[channel] = providers_for(channel, addresses)
        except ValueError as error:
            setting = f"CARILLON_{channel.value}_PROVIDERS"
            if not setting_sources.given(os.environ, f"{channel.value}_PROVIDERS", is_secret=True).text:
                setting += ", made of the GOV.UK Notify alpha's variables,"
            raise SettingError(f"{setting} cannot be used: {error}") from error
    for channel, make in WITHOUT_SETTING.items():
        made[channel] = made[channel] or [make(settings.current().data_dir)]
    for provider in _keeping(made):
        provider.share(LetterRegister())
    return made


def _keeping(made: Mapping[Channel, Sequence[Provider]]) -> Iterator[Keeping]:
    return (provider for row in made.values() for provider in row if isinstance(provider, Keeping))


def tidy() -> int:
    """Delete some files of this machine that are past their retention; return how many."""
    before = clock.now() - timedelta(days=settings.current().retention_days)
    return sum(provider.tidy(before) for provider in _keeping(routes()))


def _configured() -> dict[Channel, tuple[str, ...]]:
    """Return what the settings name for each channel of which they can name providers."""
    return {
        channel: getattr(settings.current(), f"{channel.value.lower()}_providers")
        for channel, kinds in KINDS.items()
        if kinds
    }


def goes_out(channel: Channel, address: str) -> bool:
    """Tell whether a message is really sent, or kept in the outbox, so that trying out never posts to a real team.

    It is sent when a provider for the channel is set. Letters go to a folder of the application. An address that is
    itself the way is used if the settings allow its place, or, where no provider could be set, in production.
    """
    if channel not in WITHOUT_SETTING:
        return bool(routes()[channel])
    if RECORDS[channel].leaves == "always" or _configured().get(channel):
        return True
    return "://" in address and (_in_production(channel) or _host_port(address) in settings.current().outbound_allow)


def _in_production(channel: Channel) -> bool:
    """Tell of channels without a setting of providers: production sends to whatever its recipients name."""
    return RECORDS[channel].leaves == "in production" and settings.current().env == "production"


def _host_port(address: str) -> str:
    """Return ``host:port`` of an address; a scheme that ends with an s is one over TLS, by custom."""
    try:
        parts = urlsplit(address)
        port = parts.port or (443 if parts.scheme.endswith("s") else 80)
    except ValueError:
        return ""
    host = parts.hostname or ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def preferred(channel: Channel) -> str:
    """Name what a message on this channel would go out by: a provider, or the outbox."""
    own = RECORDS[channel].leaves == "always" or _in_production(channel)
    providers = routes()[channel] if own or _configured().get(channel) else []
    return providers[0].name if providers else "outbox"


class Connections:
    """The connections of one thread at a time, kept open from one group of messages to the next."""

    def __init__(self) -> None:
        self._open: dict[str, Connection] = {}
        self._bursting: dict[str, Bursting | None] = {}

    def to(self, provider: Provider) -> Connection:
        """Return the connection to a provider."""
        key = _key(provider)
        if key not in self._open:
            self._open[key] = provider.open()
        return self._open[key]

    def bursting(self, provider: Provider) -> Bursting | None:
        """Return the connection to a provider if it takes several messages at once."""
        key = _key(provider)
        if key not in self._bursting:  # kept, for to look at a protocol takes long
            connection: object = self.to(provider)
            several = isinstance(connection, Bursting) and not isinstance(provider, Paced)
            self._bursting[key] = cast("Bursting", connection) if several else None
        return self._bursting[key]

    def close(self) -> None:
        """Let go of every connection."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()
        self._bursting.clear()


def _key(provider: Provider) -> str:
    return f"{provider.channel.value} {provider.name}"
