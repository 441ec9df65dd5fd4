"""What is held back, or slowed down, by itself beside a whole provider: an address, a sender, a recipient's domain.

A destination is named by a digest, since an address may be a secret. A sender is one of its service: what is said of it
may be shown to that service. What is said of a domain was said about a message of any service, and is shown to none.
"""

import hashlib

from backend.channels.base import Channel, Message, Paced, Provider, Scope

SENDER, DOMAIN = ":sender:", ":domain:"


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
