"""Who may read the figures of ``/metrics``: who has the token, who asks from a named address, or this machine's own."""

import ipaddress
from collections.abc import Mapping

from backend.lib import secrecy
from backend.lib.settings import LOOPBACK, Settings

# A request that came through a proxy is not one of this machine, wherever the proxy is.
_PROXIED = ("forwarded", "x-real-ip", "via")
_PROXIED_BEGINNING = "x-forwarded-"


def may_read(configuration: Settings, peer: str | None, headers: Mapping[str, str]) -> bool:
    """Tell whether a request may; ``peer`` is where it comes from, the names of ``headers`` are in lower case."""
    token, given = configuration.metrics_token, headers.get("authorization", "")
    if token and secrecy.same(given, f"Bearer {token}"):
        return True
    address = _address(peer)
    if address is None:
        return False
    if any(address in network for network in configuration.metrics_allow):
        return True
    proxied = any(name in _PROXIED or name.startswith(_PROXIED_BEGINNING) for name in headers)
    return is_bound_to_loopback(configuration) and address.is_loopback and not proxied


def is_bound_to_loopback(configuration: Settings) -> bool:
    """Tell whether only this machine reaches the web process."""
    address = _address(configuration.host)
    return configuration.host in LOOPBACK or (address is not None and address.is_loopback)


def _address(host: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def sentence(configuration: Settings) -> str:
    """Say how the figures are guarded."""
    ways = []
    if configuration.metrics_token:
        ways.append("with CARILLON_METRICS_TOKEN")
    if configuration.metrics_allow:
        ways.append(f"from {', '.join(str(network) for network in configuration.metrics_allow)}")
    if is_bound_to_loopback(configuration):
        ways.append("from this machine without a proxy")
    if not ways:
        return "Nobody may read /metrics: set CARILLON_METRICS_TOKEN or CARILLON_METRICS_ALLOW"
    return f"/metrics may be read {' or '.join(ways)}"
