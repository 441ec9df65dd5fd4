"""Where providers report to: our own address for receipts, if they can reach it."""

import ipaddress
from urllib.parse import quote, urlencode, urlsplit

from backend.lib import settings

# Top-level names that no provider can look up (RFC 2606, RFC 6761, RFC 6762), but for the .example of trials.
_PRIVATE_NAMES = (".localhost", ".local", ".internal", ".test", ".invalid", ".home.arpa")


def receipt_url(kind: str, **query: str) -> str | None:
    """Return ``{CARILLON_BASE_URL}/receipts/{kind}?query``; None if the base address is not https or not public."""
    base = settings.current().base_url
    if not _is_public(base):
        return None
    return f"{base}/receipts/{kind}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")


def _is_public(base: str) -> bool:
    parts = urlsplit(base)
    host = (parts.hostname or "").lower().rstrip(".")
    if parts.scheme != "https" or not host:
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        # Twilio takes no host with an underscore, and the DNS has none either.
        return "." in host and "_" not in host and not host.endswith(_PRIVATE_NAMES)
