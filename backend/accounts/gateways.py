"""Tokens that gateways put into a header of their own, `X-JWT-Assertion` say: believed from named addresses alone.

Whoever else sends such a header is treated as if it were not there, and a token of such an issuer is taken from no
other header, since clients behind the gateway may have seen it.
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

import msgspec

from backend.lib import settings
from backend.lib.issuer_settings import TrustedIssuer


class Assertion(msgspec.Struct, frozen=True):
    """A token with the header (in lower case) that it came in; the representation leaves the token out."""

    header: str
    token: str

    def __repr__(self) -> str:
        return f"Assertion({self.header})"


def headers() -> frozenset[bytes]:
    """Return the names of the headers in which gateways send tokens, as ASGI writes them."""
    return _headers(settings.current())


@lru_cache(maxsize=1)
def _headers(configuration: settings.Settings) -> frozenset[bytes]:
    return frozenset(one.header.encode() for one in configuration.trusted_issuers if one.header)


def assertion(fields: Iterable[tuple[bytes, bytes]], peer: str | None) -> Assertion | None:
    """Return what a gateway says of a request that came from the network address ``peer``."""
    wanted = headers()
    given = [(name, value) for name, value in fields if name in wanted] if wanted else []
    if len(given) != 1:
        return None  # several would let somebody add one to the gateway's
    name = given[0][0].decode("latin-1")
    if not any(one.header == name and _is_of(peer, one) for one in settings.current().trusted_issuers):
        return None
    return Assertion(name, given[0][1].decode("latin-1").strip())


def _is_of(peer: str | None, issuer: TrustedIssuer) -> bool:
    try:
        address = ip_address(peer or "")
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in issuer.gateways)
