"""API clients of services: their scopes, their secrets, their public keys, and their end."""

import logging
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import event, func, or_, select, update
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from backend.accounts import revocations
from backend.accounts.reach import Manner
from backend.channels import redirects
from backend.db import database as db
from backend.db.models.accounts import ApiClient, ClientSecret, Mode, Service
from backend.lib import clock, keyring, secrecy, settings
from backend.lib.problems import Problem

logger = logging.getLogger(__name__)

SCOPES = ("notifications:send", "notifications:read", "registry:read", "registry:write")
# For a gateway, which has to know whether the token that it is shown is a live one, whosever it is.
INTROSPECT = "tokens:introspect"
ALL_SCOPES = (*SCOPES, INTROSPECT)
MOST_SECRETS = 2
_PURPOSE = "client-secret"
_USE_NOTED = timedelta(minutes=1)


class NewSecret(msgspec.Struct, frozen=True):
    """A secret at the one moment when it can be read; the representation leaves it out."""

    id: int
    client_secret: str

    def __repr__(self) -> str:
        return f"NewSecret(id={self.id})"


class NewClient(msgspec.Struct, frozen=True):
    """A client at the one moment when its secret can be read; the representation leaves the secret out.

    ``client_secret`` is empty for a client that proves itself by keys of its own.
    """

    id: int
    client_id: str
    client_secret: str
    name: str
    service_id: int
    scopes: tuple[str, ...]
    mode: Mode
    redirect: str | None

    def __repr__(self) -> str:
        return f"NewClient(id={self.id}, client_id={self.client_id!r})"


def create_client(  # noqa: PLR0913 - what a client is made of
    session: Session,
    service: Service,
    name: str,
    scopes: Iterable[str] = SCOPES,
    *,
    jwks: Mapping[str, Any] | None = None,
    manner: Manner = Manner(),  # noqa: B008 - it is frozen
) -> NewClient:
    """Create a client with one secret, or with ``jwks``, its public keys for ``private_key_jwt``, and without any.

    How its messages are sent stays as it is: the identities of what it sends depend on it. A client of a trusted
    issuer is made by ``create_foreign``.

    Raises:
        Problem: ``invalid_value`` for an unknown scope, no scope, a name or keys that cannot be used.
    """
    granted = checked_scopes(scopes)
    client = ApiClient(
        client_id=secrets.token_hex(12),
        service_id=service.id,
        name=checked_name(name),
        scopes=" ".join(granted),
        jwks=None if jwks is None else checked_jwks(jwks),
        mode=manner.mode.value,
        redirect=manner.redirect,
    )
    session.add(client)
    session.flush()
    secret = add_secret(session, client).client_secret if jwks is None else ""
    return NewClient(
        client.id,
        client.client_id,
        secret,
        client.name,
        service.id,
        granted,
        manner.mode,
        manner.redirect,
    )


def create_foreign(  # noqa: PLR0913 - what such a client is made of
    session: Session,
    service: Service,
    name: str,
    scopes: Iterable[str],
    *,
    issuer: str,
    issuer_client_id: str,
    manner: Manner = Manner(),  # noqa: B008 - it is frozen
) -> ApiClient:
    """Create a client whose tokens a trusted issuer writes: it has no secret, and gets no token here.

    Raises:
        Problem: ``invalid_value`` as ``create_client``, for an issuer that is not trusted or an id that cannot be one;
            ``name_taken`` if there is a client of that issuer and id, in whichever service.
    """
    granted, identity = checked_scopes(scopes), issuer_client_id.strip()
    if issuer not in {one.issuer for one in settings.current().trusted_issuers}:
        raise Problem("invalid_value", "This issuer is not one that CARILLON_TRUSTED_ISSUERS names.")
    if not 1 <= len(identity) <= 255 or not identity.isprintable():
        raise Problem("invalid_value", "The client's id at its issuer has 1 to 255 printable characters.")
    if by_issuer(session, issuer, identity) is not None:
        raise Problem("name_taken", "There is an API client with this id at this issuer already.")
    client = ApiClient(
        client_id=secrets.token_hex(12),
        service_id=service.id,
        name=checked_name(name),
        scopes=" ".join(granted),
        issuer=issuer,
        issuer_client_id=identity,
        mode=manner.mode.value,
        redirect=manner.redirect,
    )
    session.add(client)
    session.flush()
    return client


def checked_manner(mode: str, redirect: str | None = None) -> Manner:
    """Return how a client's messages are sent; an empty ``redirect`` is none.

    Raises:
        Problem: ``invalid_value`` for a mode that there is not, or a redirect that cannot be one.
    """
    if mode not in set(Mode):
        raise Problem("invalid_value", f"A mode is one of {', '.join(Mode)}.")
    if redirect is None or not redirect.strip():
        return Manner(Mode(mode))
    return Manner(Mode(mode), redirects.canonical(redirect, settings.current().outbound_allow))


def checked_name(name: str) -> str:
    """Return the name of a client without white space around it.

    Raises:
        Problem: ``invalid_value``.
    """
    trimmed = name.strip()
    if not 1 <= len(trimmed) <= 160 or not trimmed.isprintable():
        raise Problem("invalid_value", "The name of an API client has 1 to 160 printable characters.")
    return trimmed


def checked_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return the scopes once each, in the catalogue's order.

    Raises:
        Problem: ``invalid_value`` for an unknown scope, or none.
    """
    wanted = set(scopes)
    unknown = wanted.difference(ALL_SCOPES)
    if unknown or not wanted:
        named = f"not {min(unknown)!r}" if unknown else "and at least one is needed"
        raise Problem("invalid_value", f"A scope is one of {', '.join(ALL_SCOPES)}, {named}.")
    return tuple(scope for scope in ALL_SCOPES if scope in wanted)


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
    row = ClientSecret(api_client_id=client.id, digest=keyring.digest(_PURPOSE, plain), key_id=keyring.present_id())
    session.add(row)
    session.flush()
    return NewSecret(row.id, plain)


def rotate(session: Session, client: ApiClient) -> NewSecret:
    """Give a live client its next secret, beside at most one other.

    Raises:
        Problem: ``in_use`` while two secrets live, ``not_found`` if the client has been revoked, ``invalid_value`` if
            it gets its tokens elsewhere.
    """
    check_signs_in_here(client)
    session.scalar(select(ApiClient.id).where(ApiClient.id == client.id).with_for_update())
    if client.revoked_at is not None:
        raise Problem("not_found", "This API client has been revoked.")
    if len(live_secrets(session, client)) >= MOST_SECRETS:
        raise Problem("in_use", "Two secrets live already. Revoke the one that is no longer used first.")
    return add_secret(session, client)


def check_signs_in_here(client: ApiClient) -> None:
    """See that a client gets its tokens here, by a secret or a key.

    Raises:
        Problem: ``invalid_value``.
    """
    if client.issuer is not None:
        raise Problem("invalid_value", "This API client gets its tokens from another issuer: it has no secret here.")


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


def by_issuer(session: Session, issuer: str, client_id: str) -> ApiClient | None:
    """Find a client, live or revoked, by its issuer and its id there."""
    if not client_id.isprintable():
        return None
    return session.scalar(select(ApiClient).where(ApiClient.issuer == issuer, ApiClient.issuer_client_id == client_id))


def one_of_service(session: Session, service_id: int, client_id: str) -> ApiClient:
    """Return a service's client, live or revoked, by its public identifier.

    Raises:
        Problem: ``not_found``, also for another service's.
    """
    client = by_client_id(session, client_id)
    if client is None or client.service_id != service_id:
        raise Problem("not_found", "This service has no such API client.")
    return client


def of_service(session: Session, service_id: int) -> list[ApiClient]:
    """List a service's clients, oldest first, revoked ones included."""
    return list(session.scalars(select(ApiClient).where(ApiClient.service_id == service_id).order_by(ApiClient.id)))


def matching_secret(session: Session, client: ApiClient | None, secret: str) -> ClientSecret | None:
    """Return which secret of a live client this is, in a time that does not tell an unknown client from a wrong one."""
    given = keyring.digests(_PURPOSE, secret)
    rows = [] if client is None or client.revoked_at else live_secrets(session, client)
    if not rows:
        secrecy.same("0" * 64, given[0])
    return next(iter([row for row in rows if True in [secrecy.same(row.digest, one) for one in given]]), None)


def take_over(row: ClientSecret, secret: str) -> None:
    """Keep a secret that was just proven under the present key, if it is kept under an earlier one.

    A database that cannot be written to keeps nobody from their token.
    """
    if row.key_id == keyring.present_id():
        return
    kept = update(ClientSecret).where(ClientSecret.id == row.id)
    try:
        with db.current().transaction() as session:
            session.execute(kept.values(digest=keyring.digest(_PURPOSE, secret), key_id=keyring.present_id()))
    except (OperationalError, InterfaceError, PoolTimeout):
        logger.warning("The digest of a client secret could not be renewed")


def secrets_of_other_keys(session: Session, key_id: str) -> int:
    """Count the live secrets of live clients that are kept under another key than this."""
    other = or_(ClientSecret.key_id.is_(None), ClientSecret.key_id != key_id)
    wanted = select(func.count(ClientSecret.id)).join(ApiClient, ApiClient.id == ClientSecret.api_client_id)
    alive = (ClientSecret.revoked_at.is_(None), ApiClient.revoked_at.is_(None))
    return session.scalar(wanted.where(other, *alive)) or 0


def note_use(client: ApiClient, secret: ClientSecret | None = None) -> None:
    """Write down that a client got a token, and with which secret; at most once a minute.

    A database that cannot be written to keeps nobody from their token.
    """
    now = clock.now()
    stale = [row for row in (client, secret) if row is not None and _is_stale(row.last_used_at, now)]
    if not stale:
        return
    try:
        with db.current().transaction() as session:
            for row in stale:
                session.execute(update(type(row)).where(type(row).id == row.id).values(last_used_at=now))
    except (OperationalError, InterfaceError, PoolTimeout):
        logger.warning("When an API client last got a token could not be written down")


def _is_stale(noted: datetime | None, now: datetime) -> bool:
    return noted is None or now - noted >= _USE_NOTED
