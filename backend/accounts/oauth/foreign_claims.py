"""The claims of access tokens that other issuers wrote, each read as the operator says that it writes them.

What is asked of every one: the issuer's name, an end that has not come, an audience if the issuer writes one, and
nothing that only ID tokens have (OpenID Connect Core 1.0, section 2), which are for people's browsers.
"""

import hashlib
from typing import Any

from backend.accounts.oauth import access_tokens
from backend.accounts.oauth.access_tokens import Claims
from backend.accounts.oauth.signatures import InvalidJwt, Jwt
from backend.lib import clock
from backend.lib.issuer_settings import TrustedIssuer

_PLAIN_TYPES = {"", "jwt"}
_OF_ID_TOKENS = ("nonce", "at_hash", "c_hash")


def checked(token: Jwt, issuer: TrustedIssuer) -> Claims:
    """Check a token whose signature was checked; its ``scope`` is in our words then.

    Raises:
        InvalidJwt: at the first that is wrong.
    """
    _check_kind(token, issuer)
    claims = token.claims
    if claims.get("iss") != issuer.issuer:
        raise InvalidJwt("The access token was issued by someone else.")
    _check_audience(claims, issuer)
    access_tokens.check_times(claims)
    for name, wanted in issuer.required.items():
        if _found(claims, name) != wanted:
            raise InvalidJwt("The access token lacks a claim that its issuer must have set, or has another value.")
    client_id = _client_id(claims, issuer)
    return Claims(
        iss=issuer.issuer,
        sub=str(claims.get("sub", client_id)),
        client_id=client_id,
        jti=_identity(claims, issuer),
        iat=clock.timestamp(),
        exp=claims["exp"],
        scope=" ".join(_scopes(claims, issuer)),
    )


def _check_kind(token: Jwt, issuer: TrustedIssuer) -> None:
    kind = token.header.get("typ", "")
    if issuer.algorithms and token.header.get("alg") not in issuer.algorithms:
        raise InvalidJwt("The access token is signed with an algorithm that is not expected of its issuer.")
    taken = access_tokens.TYPES | (_PLAIN_TYPES if issuer.plain else set())
    if not isinstance(kind, str) or kind.lower() not in taken or any(name in token.claims for name in _OF_ID_TOKENS):
        raise InvalidJwt("The JWT is not an access token.")


def _check_audience(claims: dict[str, Any], issuer: TrustedIssuer) -> None:
    if issuer.no_audience:
        if "aud" in claims:
            raise InvalidJwt("The access token was issued for someone else.")
        return
    access_tokens.check_audience(claims, issuer.audiences)


def _client_id(claims: dict[str, Any], issuer: TrustedIssuer) -> str:
    for name in issuer.client_claims:
        found = _found(claims, name)
        if isinstance(found, str | int) and not isinstance(found, bool) and 1 <= len(str(found)) <= 255:
            return str(found)
    raise InvalidJwt("The access token does not name its client.")


def _identity(claims: dict[str, Any], issuer: TrustedIssuer) -> str:
    """Name the token: by its ``jti``, or ``uti``, as Microsoft calls it; else by all that it says."""
    for name in ("jti", "uti"):
        if isinstance(claims.get(name), str) and claims[name]:
            return str(claims[name])
    if not issuer.plain:
        raise InvalidJwt("The access token lacks a claim of RFC 9068, or one has another type.")
    return hashlib.sha256(repr(sorted(claims.items())).encode("utf-8", "surrogatepass")).hexdigest()


def _scopes(claims: dict[str, Any], issuer: TrustedIssuer) -> list[str]:
    found = _found(claims, issuer.scopes_claim)
    if found is None:
        return list(issuer.default_scopes)
    theirs = found.split() if isinstance(found, str) else found if isinstance(found, list) else []
    ours: list[str] = []
    for name in (str(one) for one in theirs):
        if name in issuer.scope_names:
            ours += issuer.scope_names[name]
        elif name.startswith(issuer.scope_prefix):
            ours.append(name.removeprefix(issuer.scope_prefix))
    return ours


def _found(claims: dict[str, Any], name: str) -> Any:
    """Return a claim: one of that very name, else what the path with dots leads to; None if there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
