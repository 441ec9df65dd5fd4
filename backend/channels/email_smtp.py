"""E-mail over SMTP (RFC 5321)."""

from backend.channels.base import Channel, Connection
from backend.channels.provider_address import parse


class SmtpProvider:
    """A mail server that we hand messages to."""

    channel = Channel.EMAIL

    def __init__(self, address: str) -> None:
        parts = parse(address, {"tls", "ca"})
        self.name = f"smtp://{parts.host}:{parts.port or 25}"

    def open(self) -> Connection:
        """Return a connection for one thread."""
        raise NotImplementedError

    def describe(self) -> str:
        """Return one line for operators, without secrets."""
        return self.name
