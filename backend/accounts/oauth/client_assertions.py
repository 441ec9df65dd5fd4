"""Clients that prove themselves by a JWT signed with their own key: ``private_key_jwt`` (RFC 7523 §2.2 and §3)."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeGuard

from backend.accounts import clients
from backend.accounts.oauth import signatures
from backend.accounts.oauth.answers import invalid_client, invalid_request
from backend.accounts.oauth.signatures import InvalidJwt
from backend.db import database as db
from backend.db.models.accounts import ApiClient, UsedAssertion
from backend.db.statements import insert
from backend.lib import clock, settings

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_LIFETIME_SECONDS = 3600
LEEWAY_SECONDS = 60


def claimed(form: Mapping[str, str]) -> str:
    """Return which client the assertion says that it is from; nothing is proven by that."""
    try:
        name = signatures.unverified(form["client_assertion"]).claims.get("sub")
    except InvalidJwt:
        return ""
    return name if _is_text(name) else ""


def authenticate(form: Mapping[str, str]) -> ApiClient:
    """Return the live client whose key signed ``client_assertion``, which is thereby used up.

    Raises:
        OAuth2Error: ``invalid_client``, or ``invalid_request`` for another kind of assertion.
    """
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise invalid_request(f"The client_assertion_type must be {ASSERTION_TYPE}.")
    try:
        client, claims = _verified(form["client_assertion"])
    except InvalidJwt as error:
        raise invalid_client() from error
    if form.get("client_id", client.client_id) != client.client_id or not _first_use(client, claims):
        raise invalid_client()
    return client


def _verified(assertion: str) -> tuple[ApiClient, dict[str, Any]]:
    name = signatures.unverified(assertion).claims.get("sub")
    with db.current().read() as session:
        client = clients.by_client_id(session, name) if _is_text(name) else None
    keys = signatures.public_keys(client.jwks) if client else []
    claims = signatures.verified(assertion, keys).claims
    if client is None or client.revoked_at is not None:
        raise InvalidJwt("There is no such live client.")
    _check(claims, client.client_id)
    return client, claims


def _check(claims: dict[str, Any], client_id: str) -> None:
    base_url = settings.current().base_url
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    now = clock.timestamp()
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise InvalidJwt("Issuer and subject must be the client.")
    if base_url not in audiences and f"{base_url}/oauth/token" not in audiences:
        raise InvalidJwt("The audience must be the issuer or the token endpoint.")
    if not _is_moment(expires) or not now - LEEWAY_SECONDS < expires <= now + MAX_LIFETIME_SECONDS + LEEWAY_SECONDS:
        raise InvalidJwt("The assertion has expired, or is valid for more than an hour.")
    if not _is_moment(begins) or begins > now + LEEWAY_SECONDS:
        raise InvalidJwt("The assertion is not valid yet.")
    if not _is_text(claims.get("jti")):
        raise InvalidJwt("The assertion needs an id of its own.")


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= 255 and "\x00" not in value


def _is_moment(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _first_use(client: ApiClient, claims: dict[str, Any]) -> bool:
    """Note the assertion's id until its end, and tell whether it was new."""
    # A digest, so that two clients may choose the same id, and any id fits.
    name = hashlib.sha256(f"{client.client_id}\n{claims['jti']}".encode("utf-8", "surrogatepass")).hexdigest()
    expires_at = datetime.fromtimestamp(claims["exp"] + 2 * LEEWAY_SECONDS, UTC)
    with db.current().transaction() as session:
        noted = insert(session, UsedAssertion).values(jti=name, expires_at=expires_at).on_conflict_do_nothing()
        # How many rows an INSERT has made, drivers tell or not; what it returns is the same everywhere.
        return session.scalar(noted.returning(UsedAssertion.jti)) is not None
