"""Access tokens as JWTs (RFC 9068): written for our clients, and the checks that every accepted one must pass."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from backend.accounts.oauth import signatures, signing_key
from backend.accounts.oauth.signatures import InvalidJwt, Jwt
from backend.lib import clock, ids, settings

LIFETIME_SECONDS = 600
TYPES = {"at+jwt", "application/at+jwt"}
_LEEWAY_SECONDS = 60


class Claims(msgspec.Struct, frozen=True):
    """The claims of a valid access token; times are in seconds since the epoch."""

    iss: str
    sub: str
    client_id: str
    jti: str
    iat: int | float
    exp: int | float
    scope: str = ""

    @property
    def scopes(self) -> frozenset[str]:
        """Return the scopes one by one."""
        return frozenset(self.scope.split())


def issue(client_id: str, scope: str) -> str:
    """Write an access token for a client; it names the client, and through it the service."""
    key = signing_key.current()
    base_url = settings.current().base_url
    issued = int(clock.timestamp())
    claims = {
        "iss": base_url,
        "aud": base_url,
        "sub": client_id,
        "client_id": client_id,
        "iat": issued,
        "exp": issued + LIFETIME_SECONDS,
        "jti": ids.random_id().hex,
        "scope": scope,
    }
    return signatures.sign({"alg": signing_key.algorithm(), "typ": "at+jwt", "kid": key.kid}, claims, key)


def read(token: str) -> Claims:
    """Read an access token of our own.

    Raises:
        InvalidJwt: if it is not ours, expired, or not meant for us.
    """
    return checked(signatures.verified(token, signing_key.checking()), settings.current().base_url)


def checked(token: Jwt, issuer: str) -> Claims:
    """Check type, issuer, audience and time of a token whose signature was checked (RFC 9068 §4).

    Raises:
        InvalidJwt: at the first that is wrong.
    """
    kind = token.header.get("typ")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise InvalidJwt("The JWT is not an access token.")
    claims = _typed(token.claims)
    if claims.iss != issuer:
        raise InvalidJwt("The access token was issued by someone else.")
    check_audience(token.claims)
    check_times(token.claims)
    return claims


def check_audience(claims: Mapping[str, Any], wanted: Collection[str] = ()) -> None:
    """Check that a token is for one of the ``wanted``; for this installation if none is named.

    Raises:
        InvalidJwt: if it is for someone else, or does not say.
    """
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
    if not any(one in named for one in wanted or (settings.current().base_url,)):
        raise InvalidJwt("The access token was issued for someone else.")


def check_times(claims: Mapping[str, Any]) -> None:
    """Check that a token is valid now: its end has not come, its beginning has, give or take a minute.

    Raises:
        InvalidJwt: if it is not, or does not say.
    """
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    if not isinstance(expires, int | float) or expires <= clock.timestamp():
        raise InvalidJwt("The access token has expired.")
    if not isinstance(begins, int | float) or begins > clock.timestamp() + _LEEWAY_SECONDS:
        raise InvalidJwt("The access token is not valid yet.")


def _typed(claims: dict[str, Any]) -> Claims:
    try:
        return msgspec.convert(claims, Claims)
    except msgspec.ValidationError as error:
        raise InvalidJwt("The access token lacks a claim of RFC 9068, or one has another type.") from error
