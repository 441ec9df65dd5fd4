"""What a client may do with a token it holds: revoke it (RFC 7009), and ask about it (RFC 7662)."""

from datetime import UTC, datetime
from typing import Any

from authlib.oauth2 import OAuth2Error
from sqlalchemy import select

from backend.accounts import audit, clients, revocations
from backend.accounts.audit import Actor
from backend.accounts.oauth import access_tokens, client_authentication
from backend.accounts.oauth.access_tokens import Claims
from backend.accounts.oauth.answers import OAuthAnswer, invalid_request, refusal, success
from backend.accounts.oauth.forms import FormRequest
from backend.accounts.oauth.signatures import InvalidJwt
from backend.db import database as db
from backend.db.models.accounts import ApiClient, RevokedToken
from backend.db.statements import insert
from backend.lib import settings


def revoke(request: FormRequest) -> OAuthAnswer:
    """End an access token; what is no live token has nothing to end, and the answer is the same (RFC 7009 §2.2)."""
    try:
        client, claims = _asked_about(request)
    except OAuth2Error as error:
        return refusal(error)
    if claims is None:
        return success()
    if claims.client_id != client.client_id:
        # RFC 7009 §2.1: refused, and the client is told; it holds the token, so it learns nothing new.
        foreign = "The token was issued to another client."
        return refusal(OAuth2Error(error="unauthorized_client", description=foreign, status_code=400))
    with db.current().transaction() as session:
        expires_at = datetime.fromtimestamp(claims.exp, UTC)
        row = insert(session, RevokedToken).values(jti=claims.jti, expires_at=expires_at).on_conflict_do_nothing()
        if session.scalar(row.returning(RevokedToken.id)) is not None:
            by = Actor("client", client.client_id)
            audit.record(session, by, "access_token.revoked", claims.jti, service_id=client.service_id)
    revocations.current().deny_token(claims.jti)
    return success()


def introspect(request: FormRequest) -> OAuthAnswer:
    """Describe a live token of the client that asks; of any other only that it is not active (RFC 7662 §2.2).

    A client with the scope ``tokens:introspect`` may ask about everybody's: it stands before others, as a gateway does.
    """
    try:
        client, claims = _asked_about(request)
    except OAuth2Error as error:
        return refusal(error)
    if claims is None or not _may_see(client, claims) or _is_revoked(claims):
        return success({"active": False})
    return success(_description(claims))


def _may_see(client: ApiClient, claims: Claims) -> bool:
    return claims.client_id == client.client_id or clients.INTROSPECT in client.scopes.split()


def _asked_about(request: FormRequest) -> tuple[ApiClient, Claims | None]:
    client = client_authentication.authenticate(request)
    if "token" not in request.form:
        raise invalid_request("The parameter token is missing.")
    try:
        return client, access_tokens.read(request.form["token"])
    except InvalidJwt:
        return client, None


def _is_revoked(claims: Claims) -> bool:
    """Tell whether the token was revoked, or the client that it was issued to."""
    with db.current().read() as session:
        owner = clients.by_client_id(session, claims.client_id)
        revoked = session.scalar(select(RevokedToken.id).where(RevokedToken.jti == claims.jti)) is not None
    return revoked or owner is None or owner.revoked_at is not None


def _description(claims: Claims) -> dict[str, Any]:
    return {
        "active": True,
        "scope": claims.scope,
        "client_id": claims.client_id,
        "token_type": "Bearer",
        "exp": int(claims.exp),
        "iat": int(claims.iat),
        "sub": claims.sub,
        "aud": settings.current().base_url,
        "iss": claims.iss,
        "jti": claims.jti,
    }
