"""Addresses of the APPRISE channel: the notification URLs that the Apprise library understands."""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from backend.lib.child import ChildFailed, Children
from backend.lib.outbound_addresses import may_be_reached
from backend.lib.problems import Problem

# One pool for a process: what checks addresses can send to them too.
CHILDREN = Children("backend.channels.apprise_child")
_CHECK_SECONDS = 20.0
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[!-\[\]-~]{1,2000}", re.ASCII | re.IGNORECASE)
# What these reach is this very machine: its desktop, its log, a lamp in its USB port.
_LOCAL = frozenset({"blink1", "dbus", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"})
# Of these the host is a host; of others it is often a token.
_NAME_A_HOST = frozenset({"json", "jsons", "xml", "xmls", "form", "forms", "apprise", "apprises"})
_FORM = "An APPRISE address is a URL of the Apprise library, such as discord://WEBHOOK_ID/WEBHOOK_TOKEN"


def normalise(address: str, allow: Sequence[str]) -> str:
    """Return the address with its scheme in lower case, if the library can use it.

    Raises ``Problem("invalid_address")`` with a sentence that repeats nothing of the address but its scheme.
    """
    if not _URL.fullmatch(address):
        raise _refusal("it has a scheme, ://, and printable ASCII characters without spaces")
    scheme, _, rest = address.partition("://")
    scheme = scheme.lower()
    if scheme in _LOCAL:
        raise _refusal(f"{scheme}:// stays on the machine that Carillon runs on, and is refused")
    if _is_private(rest, allow):
        raise _refusal("its host is private; CARILLON_OUTBOUND_ALLOW can list its host:port")
    url = f"{scheme}://{rest}"
    try:
        answer = CHILDREN.ask({"check": url}, _CHECK_SECONDS)
    except ChildFailed:
        raise _refusal("the library could not read this one") from None
    if not answer["ok"]:
        raise _refusal(answer["detail"])
    return url


def masked(address: str) -> str:
    """Return what of an address is no secret: its scheme, the host where it is one, and the last characters."""
    scheme, _, rest = address.partition("://")
    host = urlsplit(f"//{rest}").netloc.rpartition("@")[2] + "/" if scheme in _NAME_A_HOST else ""
    return f"{scheme}://{host}…{rest[-4:] if len(rest) >= 16 else ''}"


def _refusal(reason: str) -> Problem:
    return Problem("invalid_address", f"{_FORM}; {reason}.")


def _is_private(rest: str, allow: Sequence[str]) -> bool:
    """Tell whether the host is this machine or a private one by its number; names are checked when they are reached."""
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False  # no host at all, but a token with a colon
    if not _is_inside(host):
        return False
    literal = f"[{host}]" if ":" in host else host
    listed = {one.strip().lower() for one in allow}
    return f"{literal}:{port}" not in listed if port else not any(one.startswith(f"{literal}:") for one in listed)


def _is_inside(host: str) -> bool:
    try:
        return not may_be_reached(ipaddress.ip_address(host))
    except ValueError:
        return host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")
