"""Static bearer tokens of services, as clients of the GOV.UK Notify alpha hold them."""

from collections.abc import Sequence
from typing import Literal, get_args
from uuid import uuid4

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.accounts import Service, ServiceToken
from backend.lib import keyring
from backend.lib.problems import Problem

TokenType = Literal["client", "admin"]
TYPES: tuple[str, ...] = get_args(TokenType)
_PURPOSE = "service-token"


class NewToken(msgspec.Struct, frozen=True):
    """A token that was just made; the representation leaves its text out."""

    id: int
    token: str
    type: str
    service_id: int

    def __repr__(self) -> str:
        return f"NewToken(id={self.id}, type={self.type!r})"


def create(session: Session, service: Service, token_type: TokenType) -> NewToken:
    """Make a token: the text of a random UUID, which is what the alpha's clients expect."""
    token = str(uuid4())
    digest = _digest(token)
    sealed = keyring.seal(_sealing_context(digest), token)
    row = ServiceToken(service_id=service.id, type=token_type, digest=digest, sealed=sealed)
    session.add(row)
    session.flush()
    return NewToken(row.id, token, token_type, service.id)


def find(session: Session, token: str) -> ServiceToken | None:
    """Find a token by its text."""
    return session.scalar(select(ServiceToken).where(ServiceToken.digest.in_(keyring.digests(_PURPOSE, token))))


def of_service(session: Session, service_id: int) -> ServiceToken | None:
    """Return the newest token of a service."""
    wanted = select(ServiceToken).where(ServiceToken.service_id == service_id).order_by(ServiceToken.id.desc())
    return session.scalar(wanted.limit(1))


def all_of_service(session: Session, service_id: int) -> Sequence[ServiceToken]:
    """List the tokens of a service, oldest first."""
    return session.scalars(
        select(ServiceToken).where(ServiceToken.service_id == service_id).order_by(ServiceToken.id)
    ).all()


def replace(session: Session, service: Service, token_id: int) -> NewToken:
    """Put a new token in the place of one, which ends at once.

    Raises:
        Problem: ``not_found`` if the service has no such token.
    """
    row = session.get(ServiceToken, token_id)
    if row is None or row.service_id != service.id:
        raise Problem("not_found", "The service has no such token.")
    token_type: TokenType = "admin" if row.type == "admin" else "client"
    session.delete(row)
    session.flush()
    return create(session, service, token_type)


def reveal(row: ServiceToken) -> str:
    """Return the text of a token.

    Raises:
        ValueError: if it was sealed under a secret key that is not in use.
    """
    return keyring.unseal(_sealing_context(row.digest), row.sealed)


def reseal(session: Session) -> int:
    """Seal anew every token that is not sealed under the present key, and count them."""
    rows = [row for row in session.scalars(select(ServiceToken)) if not keyring.is_present(row.sealed)]
    for row in rows:
        token = reveal(row)
        row.digest = _digest(token)
        row.sealed = keyring.seal(_sealing_context(row.digest), token)
    return len(rows)


def _digest(token: str) -> str:
    return keyring.digest(_PURPOSE, token)


def _sealing_context(digest: str) -> str:
    # The digest names the row before the database has numbered it.
    return f"service_tokens/{digest}/sealed"
