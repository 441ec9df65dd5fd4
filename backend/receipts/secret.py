"""The secret that guards the address for bounces: derived from the secret key, so that it need not be kept."""

from backend.lib import keyring, secrecy

PREFIX = "crb_"
_OF = ("receipts", "bounce")


def bounce_token() -> str:
    """Return the token that mail servers send along."""
    return _token(keyring.digest(*_OF))


def is_bounce_token(given: str) -> bool:
    """Tell whether a token is the one, or that of an earlier key in use, in a time that does not depend on it."""
    tokens = [_token(one) for one in keyring.digests(*_OF)]
    return True in [secrecy.same(given, one) for one in tokens]


def _token(digest: str) -> str:
    return PREFIX + digest[:48]
