"""Provider addresses: ``kind://user:password@host:port?option=value``, as the settings give them."""

import ipaddress
from collections.abc import Set as AbstractSet
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec


class ProviderAddress(msgspec.Struct, frozen=True):
    """The parts of a provider address, percent-decoded; ``port`` is None where the address names none."""

    kind: str
    user: str | None
    password: str | None
    host: str
    port: int | None
    options: dict[str, str]

    def __repr__(self) -> str:
        """Leave out what may be a secret: user, password and options."""
        return f"ProviderAddress(kind={self.kind!r}, host={self.host!r}, port={self.port!r})"


def kind_of(address: str) -> str:
    """Return the kind that an address begins with, in lower case; empty if it begins with none."""
    kind, separator, _ = address.strip().partition("://")
    return kind.lower() if separator and kind.isascii() and kind.isalnum() else ""


def parse(address: str, known_options: AbstractSet[str]) -> ProviderAddress:
    """Take an address apart.

    Raises ``ValueError`` with one sentence that holds no secret: no host, a bad port, an unknown or repeated
    option, or ``scheme=http`` for a host that is not loopback.
    """
    try:
        parts = urlsplit(address.strip())
        host = parts.hostname or ""
        port = parts.port
    except ValueError:
        # The exception's own text quotes the address, and with it the password.
        raise ValueError(
            "its host or port cannot be read; a port is a number from 1 to 65535, and special characters of "
            "the credentials are percent-encoded"
        ) from None
    if port == 0:
        raise ValueError("its port is not a number from 1 to 65535")
    if not host or not host.isascii() or any(not (c.isalnum() or c in "-._:") for c in host):
        raise ValueError("it names no usable host; percent-encode special characters of the credentials")
    if parts.path not in ("", "/") or parts.fragment:
        raise ValueError("it has something after the host other than ?options; percent-encode credentials")
    options = _options(parts.query, known_options)
    if options.get("scheme", "https") != "https" and not is_loopback(host):
        raise ValueError("the option scheme=http is only for a loopback host")
    return ProviderAddress(
        kind=parts.scheme.lower(),
        user=_decoded(parts.username),
        password=_decoded(parts.password),
        host=host,
        port=port,
        options=options,
    )


def _options(query: str, known: AbstractSet[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            # The name is not repeated: a stray part of a password can look like an option.
            raise ValueError(f"it has an unknown option; known are: {', '.join(sorted(known)) or 'none'}")
        if name in options:
            raise ValueError(f"it gives the option {name} twice")
        options[name] = value
    if options.get("scheme", "https") not in ("http", "https"):
        raise ValueError("the option scheme is http or https")
    return options


def _decoded(part: str | None) -> str | None:
    if part is None:
        return None
    text = unquote(part)
    if any(c in text for c in "\r\n\0") or "\N{REPLACEMENT CHARACTER}" in text:
        raise ValueError("its credentials do not decode to plain text")
    return text


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine itself, by name (RFC 6761) or by number."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost" or host.lower().endswith(".localhost")
