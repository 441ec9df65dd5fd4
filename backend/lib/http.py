"""What every entry point says in HTTP, and how it sees who asks."""

import ipaddress
import re

from backend.lib import settings

# An ``Accept-Encoding`` header that names gzip, and not with a weight of nought.
TAKES_GZIP = re.compile(r"(^|[,\s])gzip\s*(?!\s*;\s*q=0(\.0*)?\s*(,|$))")

# What one subscriber is given at least (RFC 6177, section 2): whoever has one address of it has them all.
_OF_ONE_SUBSCRIBER = 64


def network_address(host: str | None) -> str:
    """Return the name under which attempts from a peer are counted; of IPv6 it is the network, ``2001:db8::/64``."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return host or "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), _OF_ONE_SUBSCRIBER), strict=False))
    return str(address)


def catalogue_url() -> str:
    """Return where the error catalogue is served."""
    return f"{settings.current().base_url}/docs/errors"


def security_headers(policy: str) -> dict[str, str]:
    """Return the headers that keep a page of ours safe in a browser; ``policy`` is its Content-Security-Policy.

    ``same-origin`` keeps a key in an address from other hosts; ``no-referrer`` would blank the Origin of forms.
    """
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    if settings.current().base_url.startswith("https://"):
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    return headers
