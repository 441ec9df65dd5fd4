"""Which addresses on the network a user-given URL may lead to: its form, its host's addresses, each checked.

What the resolver and the standard library take for good, and is not, is told in the comments.
"""

import ipaddress
import re
import socket
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import SplitResult, urlsplit

import msgspec

IpAddress = IPv4Address | IPv6Address

_MAX_LENGTH = 2048
_PRINTABLE = re.compile(r"[!-\[\]-~]+")  # ASCII without white space and without the backslash
_NAME = re.compile(
    r"(?=.{1,253}\.?$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.?"
)
_ENDS_IN_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?")
_PORTS = {"https": 443, "http": 80}
# Global by the registries' word or by Python's, and still no public host (IANA special-purpose registries).
_DENIED_V4 = tuple(
    IPv4Network(one)
    for one in (
        "192.0.0.0/24",  # protocol assignments
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT relays
        "192.88.99.0/24",  # 6to4 relays
        "192.175.48.0/24",  # AS112
        "168.63.129.16/32",  # the metadata host of one large cloud, inside a public range
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")  # the only part of IPv6 from which unicast addresses are given out
_DENIED_V6 = tuple(
    IPv6Network(one)
    for one in (
        "2001::/23",  # protocol assignments, Teredo among them, which hides an IPv4 address
        "2001:db8::/32",
        "2002::/16",  # 6to4, which hides an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
# A lookup cannot be broken off: it is left behind in one of these threads when the time is up.
_lookups = ThreadPoolExecutor(max_workers=16, thread_name_prefix="lookup")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a URL leads: ``host`` in lower case and without brackets, ``path`` with the query.

    ``listed`` says that the operator's allow list names its host and port.
    """

    scheme: str
    host: str
    port: int
    path: str
    listed: bool

    def __repr__(self) -> str:
        """Leave the path out: it is often the secret."""
        return f"Target({self.host_port!r})"

    @property
    def host_port(self) -> str:
        """Return ``host:port``, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read(url: str, allow: Collection[str], *, guarded: bool = True) -> Target:
    """Take a URL apart; unless ``guarded``, any port and plain http will do.

    Raises:
        ValueError: with one sentence that repeats nothing of the URL but its host.
    """
    parts = _split(url)
    scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    if scheme not in _PORTS:
        raise ValueError("The address must begin with https://.")
    if "@" in parts.netloc:
        raise ValueError("The address must not hold a user name or password.")
    if "#" in url:
        raise ValueError("The address must not hold a fragment (#).")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("The port of the address must be a number from 1 to 65535.")
    _check_host(host, bracketed="[" in parts.netloc)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(scheme=scheme, host=host, port=port or _PORTS[scheme], path=path, listed=False)
    if target.host_port in {one.lower() for one in allow}:
        return msgspec.structs.replace(target, listed=True)
    if guarded and (scheme != "https" or target.port != 443):
        raise ValueError("The address must use https on port 443.")
    if guarded and (literal := _literal(host)) and not may_be_reached(literal):
        raise ValueError(f"The address {host} is not one of the public internet.")
    return target


def _split(url: str) -> SplitResult:
    if len(url) > _MAX_LENGTH:
        raise ValueError(f"The address must have at most {_MAX_LENGTH} characters.")
    if not _PRINTABLE.fullmatch(url):
        raise ValueError("The address must hold printable ASCII characters only, without spaces and backslashes.")
    try:
        parts = urlsplit(url)
        _ = parts.port  # read here, for it is checked when it is read
    except ValueError:
        raise ValueError("The host or port of the address cannot be read.") from None
    return parts


def _check_host(host: str, *, bracketed: bool) -> None:
    """Refuse what is no name and no plain number: ``127.1``, ``0x7f000001`` and ``2130706433`` are all 127.0.0.1."""
    literal = _literal(host)
    if bracketed != isinstance(literal, IPv6Address):
        raise ValueError("The address must have an IPv6 address in its brackets, and nothing else.")
    if literal is None and (not _NAME.fullmatch(host) or _ENDS_IN_NUMBER.fullmatch(host)):
        raise ValueError("The address must name a host by its full name, such as hooks.lab.example.")


def _literal(host: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(host) if "%" not in host else None
    except ValueError:
        return None


def may_be_reached(address: IpAddress) -> bool:
    """Tell whether an address is a unicast one of the public internet, also the one inside of a mapped form."""
    inner = _unwrapped(address)
    if isinstance(inner, IPv4Address):
        public = inner.is_global and not inner.is_multicast and not inner.is_reserved
        return public and not any(inner in network for network in _DENIED_V4)
    return inner in _GLOBAL_V6 and not any(inner in network for network in _DENIED_V6)


def _unwrapped(address: IpAddress) -> IpAddress:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        # Where a network reaches IPv4 by NAT64, every IPv4 host is found under this prefix.
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def resolve(host: str, port: int, seconds: float) -> list[str]:
    """Return the addresses of a host, each once, in the resolver's order, within ``seconds``.

    Raises:
        OSError: if it has none, or the resolver takes too long (``TimeoutError``).
    """
    if (literal := _literal(host)) is not None:
        return [str(literal)]
    try:
        found = _lookups.submit(_look_up, host, port).result(timeout=max(seconds, 0))
    except UnicodeError as error:
        raise OSError("no such name") from error
    return list(dict.fromkeys(found))


def _look_up(host: str, port: int) -> list[str]:
    return [str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def refused(addresses: Collection[str]) -> str | None:
    """Return the first address that may not be reached; None if all may."""
    for address in addresses:
        literal = _literal(address)
        if literal is None or not may_be_reached(literal):
            return address
    return None
