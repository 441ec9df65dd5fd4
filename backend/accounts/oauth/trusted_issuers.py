"""Token issuers outside of this installation whose access tokens are accepted too.

Their keys are found by RFC 8414 or OpenID Connect discovery, kept for ten minutes, and fetched again at most once a
minute when a token names a key that is not among them.

The operator names the issuer, which may well be a host of their own network: it is asked as the hosts of providers are.
Where its keys are, it says itself; on any other host they are fetched with the caution that users' addresses get, so
that an issuer can vouch for its people and not make us ask what only we can reach.
"""

import json
import logging
import threading
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from joserfc.jwk import Key

from backend.accounts.oauth import foreign_claims, signatures
from backend.accounts.oauth.access_tokens import Claims
from backend.accounts.oauth.signatures import UnknownKey
from backend.lib import clock, outbound, settings
from backend.lib.issuer_settings import TrustedIssuer
from backend.lib.outbound import OutboundError
from backend.lib.problems import Problem
from backend.lib.settings import LOOPBACK

logger = logging.getLogger(__name__)

_KEEP_SECONDS = 600
_PAUSE_SECONDS = 60
_MAX_BYTES = 256 * 1024
_PORTS = {"https": 443, "http": 80}
_TIMEOUT_SECONDS = 5.0  # for each document, from the lookup of the host to the last octet


class _Unreachable(Exception):
    """The issuer's metadata or keys could not be had; the text says why."""


class Issuer:
    """One trusted issuer with the keys it published."""

    def __init__(self, described: TrustedIssuer) -> None:
        self._described = described
        self._lock = threading.Lock()
        self._keys: list[Key] = []
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")

    def read(self, token: str) -> Claims:
        """Check an access token against the issuer's keys and RFC 9068.

        Raises:
            InvalidJwt: if it is not valid.
            Problem: ``unavailable`` if the issuer's keys cannot be had.
        """
        if clock.timestamp() - self._fetched_at >= _KEEP_SECONDS:
            self._refresh()
        try:
            return foreign_claims.checked(signatures.verified(token, self._keys), self._described)
        except UnknownKey:
            self._refresh()
            return foreign_claims.checked(signatures.verified(token, self._keys), self._described)

    def _refresh(self) -> None:
        """Fetch the keys unless that was tried a moment ago; old keys serve on while the issuer is away."""
        with self._lock:
            if clock.timestamp() - self._tried_at >= _PAUSE_SECONDS:
                self._tried_at = clock.timestamp()
                try:
                    self._keys = _fetch_keys(self._described)
                    self._fetched_at = self._tried_at
                except _Unreachable as fault:
                    logger.warning("No keys from the trusted issuer %s: %s", self._described.issuer, fault)
        if not self._keys:
            raise _unavailable()


def _unavailable() -> Problem:
    detail = "The keys of the token's issuer cannot be fetched at the moment."
    return Problem("unavailable", detail, headers={"Retry-After": str(_PAUSE_SECONDS)})


def named(issuer: object) -> TrustedIssuer | None:
    """Return how the tokens of an issuer are read, if the operator trusts it."""
    return next((one for one in settings.current().trusted_issuers if one.issuer == issuer), None)


def read(token: str, issuer: TrustedIssuer) -> Claims:
    """Read an access token of a trusted issuer; see ``Issuer.read``."""
    return _issuers(settings.current())[issuer.issuer].read(token)


@lru_cache(maxsize=1)
def _issuers(configuration: settings.Settings) -> dict[str, Issuer]:
    return {one.issuer: Issuer(one) for one in configuration.trusted_issuers}


def _metadata_addresses(issuer: str) -> list[str]:
    """Return where RFC 8414 and OpenID Connect Discovery keep the metadata."""
    parts = urlsplit(issuer)
    inserted = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path.rstrip('/')}"
    return [inserted, f"{issuer.rstrip('/')}/.well-known/openid-configuration"]


def _fetch_keys(described: TrustedIssuer) -> list[Key]:
    address = described.jwks_uri or _keys_address(described.issuer)
    # The operator names the one, the issuer itself the other.
    keys = signatures.public_keys(_fetch(address, described.jwks_uri or described.issuer))
    if not keys:
        raise _Unreachable("The issuer publishes no key that can be used.")
    return keys


def _keys_address(issuer: str) -> str:
    metadata = _discovered(issuer)
    if metadata.get("issuer") != issuer:
        raise _Unreachable("The metadata names another issuer.")
    address = metadata.get("jwks_uri")
    if not isinstance(address, str):
        raise _Unreachable("The metadata does not say where the keys are.")
    return address


def _discovered(issuer: str) -> dict[str, Any]:
    first, second = _metadata_addresses(issuer)
    try:
        return _fetch(first, issuer)
    except _Unreachable:
        return _fetch(second, issuer)


def _fetch(address: str, issuer: str) -> dict[str, Any]:
    scheme, host, _ = _origin(address)
    if scheme != "https" and not (scheme == "http" and host in LOOPBACK):
        raise _Unreachable("Keys are fetched over https only.")
    headers = {"Accept": "application/json"}
    guarded = _origin(address) != _origin(issuer)
    try:
        answer = outbound.request(
            "GET",
            address,
            headers=headers,
            body=None,
            timeout=_TIMEOUT_SECONDS,
            max_bytes=_MAX_BYTES,
            guarded=guarded,
        )
    except OutboundError as error:
        raise _Unreachable(error.reason) from error
    if answer.status != 200:
        raise _Unreachable(f"The issuer answered {answer.status}.")
    if not answer.complete:
        raise _Unreachable("The issuer's answer is too large, or broke off.")
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise _Unreachable("The issuer did not answer with JSON.") from error
    if not isinstance(document, dict):
        raise _Unreachable("The issuer did not answer with an object.")
    return document


def _origin(address: str) -> tuple[str, str, int | None]:
    """Return the scheme, host and port of an address (RFC 6454); this machine has one name."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise _Unreachable("The address of the keys cannot be read.") from error
    host = parts.hostname or ""
    return parts.scheme, "localhost" if host in LOOPBACK else host, port or _PORTS.get(parts.scheme)
