"""Provider addresses: ``kind://user:password@host:port?option=value``, as the settings give them."""

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

_NAME_LENGTH = 64  # characters of a provider's name that are kept with each attempt
_HOST = re.compile(r"[A-Za-z0-9._:-]+", re.ASCII)


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
    if not _HOST.fullmatch(host):
        raise ValueError("it names no usable host; percent-encode special characters of the credentials")
    if parts.path not in ("", "/") or parts.fragment:
        raise ValueError("it has something after the host other than ?options; percent-encode credentials")
    options = _options(parts.query, known_options)
    if options.get("scheme", "https") != "https" and not is_loopback(_reached(host, port, options)[0]):
        raise ValueError("the option scheme=http is only for a loopback host")
    return ProviderAddress(
        kind=parts.scheme.lower(),
        user=_decoded(parts.username),
        password=_decoded(parts.password),
        host=host,
        port=port,
        options=options,
    )


def base_address(parts: ProviderAddress) -> str:
    """Return where the provider's HTTP interface is: ``https://host`` or ``https://host:port``, without a path.

    The option ``endpoint`` (``host`` or ``host:port``) stands for the address's own host, where a kind knows it.
    """
    host, port = _reached(parts.host, parts.port, parts.options)
    return f"{parts.options.get('scheme', 'https')}://{host_port(host, port)}"


def _reached(host: str, port: int | None, options: Mapping[str, str]) -> tuple[str, int | None]:
    if "endpoint" not in options:
        return host, port
    try:
        endpoint = urlsplit(f"//{options['endpoint']}")
        found, its_port = endpoint.hostname or "", endpoint.port
    except ValueError:
        found = ""
    if not _HOST.fullmatch(found) or host_port(found, its_port) != options["endpoint"].lower():
        raise ValueError("the option endpoint is a host or host:port")
    return found, its_port


def host_port(host: str, port: int | None) -> str:
    """Return ``host`` or ``host:port``, an IPv6 host in brackets."""
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port is None else f"{bracketed}:{port}"


@lru_cache(maxsize=64)
def account_mark(*account: str) -> str:
    """Return six hexadecimal digits that tell an account from others, and from which it cannot be worked out.

    A provider's name is seen by many, and an account may be named by nothing but its password. So the digits are
    slow to make, and too few to say that a guess was right.
    """
    whole = "\0".join(account).encode()
    return hashlib.scrypt(whole, salt=b"provider", n=2**13, r=8, p=1, dklen=3).hex()


def provider_name(kind: str, where: str, *account: str) -> str:
    """Return the name of a provider: its kind, a mark of the account if it has one, and where it is.

    It has at most 64 characters; the middle of a longer host name is left out, and then counts in the mark.
    """
    mark = f"{account_mark(*account)}@" if any(account) else ""
    if len(kind) + 3 + len(mark) + len(where) > _NAME_LENGTH:
        mark = f"{account_mark(where, *account)}@"
        half = (_NAME_LENGTH - len(kind) - 3 - len(mark) - 1) // 2
        where = f"{where[:half]}…{where[-half:]}"
    return f"{kind}://{mark}{where}"


def location(name: str) -> str:
    """Return where a provider is, of its name: the same whichever account it is used with."""
    return name.partition("://")[2].rpartition("@")[2]


def required(value: str | None, what: str) -> str:
    """Return a part that the address must have; raise ``ValueError`` if it is missing or unfit for a header."""
    if not value:
        raise ValueError(f"it needs {what}")
    if not (value.isascii() and value.isprintable()):
        raise ValueError(f"{what} may hold printable ASCII characters only")
    return value


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
