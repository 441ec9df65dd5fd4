"""API clients of services: their scopes, their secrets, their public keys, and their end."""

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from backend.accounts import revocations
from backend.db.models.accounts import ApiClient, ClientSecret, Service
from backend.lib import clock, secrecy, settings
from backend.lib.problems import Problem

SCOPES = ("notifications:send", "notifications:read", "registry:read", "registry:write")
_PURPOSE = "client-secret"


class NewSecret(msgspec.Struct, frozen=True):
    """A secret at the one moment when it can be read; the representation leaves it out."""

    id: int
    client_secret: str

    def __repr__(self) -> str:
        return f"NewSecret(id={self.id})"


class NewClient(msgspec.Struct, frozen=True):
    """A client at the one moment when its secret can be read; the representation leaves the secret out."""

    id: int
    client_id: str
    client_secret: str
    name: str
    service_id: int
    scopes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"NewClient(id={self.id}, client_id={self.client_id!r})"


def create_client(
    session: Session,
    service: Service,
    name: str,
    scopes: Iterable[str] = SCOPES,
    *,
    jwks: Mapping[str, Any] | None = None,
) -> NewClient:
    """Create a client with one secret; ``jwks`` are its public keys for ``private_key_jwt``.

    Raises:
        Problem: ``invalid_value`` for an unknown scope, no scope, a name or keys that cannot be used.
    """
    granted = checked_scopes(scopes)
    trimmed = name.strip()
    if not 1 <= len(trimmed) <= 160 or not trimmed.isprintable():
        raise Problem("invalid_value", "The name of an API client has 1 to 160 printable characters.")
    client = ApiClient(
        client_id=secrets.token_hex(12),
        service_id=service.id,
        name=trimmed,
        scopes=" ".join(granted),
        jwks=None if jwks is None else checked_jwks(jwks),
    )
    session.add(client)
    session.flush()
    secret = add_secret(session, client)
    return NewClient(client.id, client.client_id, secret.client_secret, client.name, service.id, granted)


def checked_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return the scopes once each, in the catalogue's order.

    Raises:
        Problem: ``invalid_value`` for an unknown scope, or none.
    """
    wanted = set(scopes)
    unknown = wanted.difference(SCOPES)
    if unknown or not wanted:
        named = f"not {min(unknown)!r}" if unknown else "and at least one is needed"
        raise Problem("invalid_value", f"A scope is one of {', '.join(SCOPES)}, {named}.")
    return tuple(scope for scope in SCOPES if scope in wanted)


def checked_jwks(jwks: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JWK Set (RFC 7517) of public, asymmetric keys.

    Raises:
        Problem: ``invalid_value`` for anything else.
    """
    rows = jwks.get("keys")
    try:
        keys = KeySet.import_key_set({"keys": rows}).keys if isinstance(rows, list) else []
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise Problem("invalid_value", "The public keys are not a JWK Set (RFC 7517) that can be read.") from error
    if not keys or any(key.key_type == "oct" or key.is_private for key in keys):
        raise Problem("invalid_value", "A client's JWK Set holds one or more public keys and no private one.")
    return {"keys": [key.as_dict(private=False) for key in keys]}


def add_secret(session: Session, client: ApiClient) -> NewSecret:
    """Give a client one more live secret, so that it can change over before the old one is revoked."""
    plain = secrecy.make_secret("crs_")
    row = ClientSecret(api_client_id=client.id, digest=_digest(plain))
    session.add(row)
    session.flush()
    return NewSecret(row.id, plain)


def revoke_secret(session: Session, client: ApiClient, secret_id: int) -> None:
    """End one secret; tokens that it brought live to their end, at most ten minutes.

    Raises:
        Problem: ``not_found`` if the client has no such secret.
    """
    row = session.get(ClientSecret, secret_id)
    if row is None or row.api_client_id != client.id:
        raise Problem("not_found", "This API client has no such secret.")
    row.revoked_at = row.revoked_at or clock.now()
    session.flush()


def live_secrets(session: Session, client: ApiClient) -> list[ClientSecret]:
    """List the secrets that still work, oldest first."""
    wanted = (ClientSecret.api_client_id == client.id, ClientSecret.revoked_at.is_(None))
    return list(session.scalars(select(ClientSecret).where(*wanted).order_by(ClientSecret.id)))


def revoke_client(session: Session, client: ApiClient) -> None:
    """End a client: no new tokens, and those it holds are refused, here at once and elsewhere within seconds."""
    client.revoked_at = client.revoked_at or clock.now()
    session.flush()
    ended = client.id
    event.listen(session, "after_commit", lambda _session: revocations.current().deny_client(ended), once=True)


def by_client_id(session: Session, client_id: str) -> ApiClient | None:
    """Find a client, live or revoked, by its public identifier."""
    # What a caller claims may be any text, NUL included, which PostgreSQL takes in no parameter.
    if not client_id.isascii() or not client_id.isprintable():
        return None
    return session.scalar(select(ApiClient).where(ApiClient.client_id == client_id))


def of_service(session: Session, service_id: int) -> list[ApiClient]:
    """List a service's clients, oldest first, revoked ones included."""
    return list(session.scalars(select(ApiClient).where(ApiClient.service_id == service_id).order_by(ApiClient.id)))


def secret_matches(session: Session, client: ApiClient | None, secret: str) -> bool:
    """Tell whether a live client has this secret, in a time that does not tell an unknown client from a wrong one."""
    given = _digest(secret)
    rows = [] if client is None or client.revoked_at else live_secrets(session, client)
    found = False
    for digest in [row.digest for row in rows] or ["0" * 64]:
        found = secrecy.same(digest, given) or found
    return found


def _digest(secret: str) -> str:
    return secrecy.digest(settings.current().secret_key, _PURPOSE, secret)
