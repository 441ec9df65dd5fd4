"""The secrets that guard addresses for reports: derived from the secret key, so that they need not be kept."""

from backend.channels.base import Channel
from backend.channels.provider_address import location
from backend.delivery.providers import routes
from backend.lib import keyring, secrecy

PREFIX = "crb_"
DESK_PREFIX = "crd_"
_OF = ("receipts", "bounce")
_OF_DESK = "receipts of a service desk"


def bounce_token() -> str:
    """Return the token that mail servers send along."""
    return _token(keyring.digest(*_OF))


def is_bounce_token(given: str) -> bool:
    """Tell whether a token is the one, or that of an earlier key in use, in a time that does not depend on it."""
    tokens = [_token(one) for one in keyring.digests(*_OF)]
    return True in [secrecy.same(given, one) for one in tokens]


def desks() -> list[str]:
    """List where the service desks are that are set up, each of which has its token."""
    return list(dict.fromkeys(location(provider.name) for provider in routes.routes()[Channel.FRESHSERVICE]))


def desk_token(desk: str) -> str:
    """Return the token that the workflows of a service desk, known by where it is, send along."""
    return _token(keyring.digest(_OF_DESK, desk), DESK_PREFIX)


def is_desk_token(desk: str, given: str) -> bool:
    """Tell whether a token is that of a service desk, in a time that does not depend on it."""
    tokens = [_token(one, DESK_PREFIX) for one in keyring.digests(_OF_DESK, desk)]
    return True in [secrecy.same(given, one) for one in tokens]


def _token(digest: str, prefix: str = PREFIX) -> str:
    return prefix + digest[:48]
