"""The secret that guards the address for bounces: derived from the secret key, so that it need not be kept."""

from backend.lib import secrecy, settings

PREFIX = "crb_"


def bounce_token() -> str:
    """Return the token that mail servers send along."""
    return PREFIX + secrecy.digest(settings.current().secret_key, "receipts", "bounce")[:48]


def is_bounce_token(given: str) -> bool:
    """Tell whether a token is the one, in a time that does not depend on where it differs."""
    return secrecy.same(given, bounce_token())
