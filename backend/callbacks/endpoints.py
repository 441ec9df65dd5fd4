"""Where API clients hear of their notifications: one address each, its signing secrets, on and off."""

from datetime import datetime, timedelta

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.callbacks import signing, subscriptions
from backend.db import commits
from backend.db.models.callbacks import CallbackEndpoint, CallbackMessage, CallbackSecret
from backend.lib import clock, outbound
from backend.lib.problems import Problem

# The old secret signs along for so long after a change, unless there is another change before.
OVERLAP = timedelta(hours=24)


class EndpointRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An API client's callback address; moments are in UTC.

    ``disabled_why`` says in one sentence why nothing is posted; null while it is on. ``failing_since`` is its first
    failure since its last success, ``failures`` counts them. ``secrets`` counts the secrets that sign now: two while
    they are being changed.
    """

    url: str
    enabled: bool
    disabled_at: datetime | None
    disabled_why: str | None
    failing_since: datetime | None
    failures: int
    secrets: int
    created_at: datetime
    updated_at: datetime


class NewSigningSecret(msgspec.Struct, frozen=True):
    """A signing secret at the one moment when it can be read; the representation leaves it out."""

    secret: str

    def __repr__(self) -> str:
        return "NewSigningSecret()"


def register(
    session: Session, api_client_id: int, service_id: int, url: str, actor: Actor
) -> tuple[EndpointRecord, NewSigningSecret | None]:
    """Set a client's address; the first time it comes with its secret, later changes keep the secrets.

    A new address is on at once. The same address again changes nothing. The service must be the client's.

    Raises:
        Problem: ``invalid_address`` for what is no public https address.
    """
    try:
        outbound.check_address(url)
    except ValueError as error:
        raise Problem("invalid_address", str(error)) from error
    row = _row(session, api_client_id) or _inserted(session, api_client_id, service_id, url)
    if row is None:  # somebody else was quicker
        row = existing(session, api_client_id)
    if not _secrets(session, row.id):
        secret = _add_secret(session, row)
        _told(session, row, actor, "registered")
        commits.after(session, "callback addresses", subscriptions.clear)
        return _record(session, row), secret
    if row.url != url:
        row.url = url
        _switch_on(row)
        _told(session, row, actor, "changed")
        commits.after(session, "callback addresses", subscriptions.clear)
    return _record(session, row), None


def _inserted(session: Session, api_client_id: int, service_id: int, url: str) -> CallbackEndpoint | None:
    now = clock.now()
    row = CallbackEndpoint(
        api_client_id=api_client_id, service_id=service_id, url=url, created_at=now, updated_at=now, enabled_at=now
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return None
    return row


def read(session: Session, api_client_id: int) -> EndpointRecord:
    """Return a client's address.

    Raises:
        Problem: ``not_found``.
    """
    return _record(session, existing(session, api_client_id, lock=False))


def remove(session: Session, api_client_id: int, actor: Actor) -> None:
    """Forget a client's address, its secrets, and everything that was or is to be posted to it.

    Raises:
        Problem: ``not_found``.
    """
    row = existing(session, api_client_id)
    _told(session, row, actor, "removed")
    # Whoever is writing a message for it at this moment is waited for; whoever begins now waits, and finds none.
    session.execute(select(CallbackEndpoint.id).where(CallbackEndpoint.id == row.id).with_for_update())
    session.execute(delete(CallbackMessage).where(CallbackMessage.endpoint_id == row.id))
    session.execute(delete(CallbackSecret).where(CallbackSecret.endpoint_id == row.id))
    session.execute(delete(CallbackEndpoint).where(CallbackEndpoint.id == row.id))


def rotate_secret(session: Session, api_client_id: int, actor: Actor) -> NewSigningSecret:
    """Make a new secret; the one before it signs along for a day, and any older one ends now.

    Raises:
        Problem: ``not_found``.
    """
    row = existing(session, api_client_id)
    now = clock.now()
    for secret in _secrets(session, row.id):
        if secret.expires_at is None:
            secret.expires_at = now + OVERLAP
        else:
            session.delete(secret)
    made = _add_secret(session, row)
    row.updated_at = now
    _told(session, row, actor, "secret_rotated")
    return made


def disable(session: Session, api_client_id: int, why: str, actor: Actor) -> EndpointRecord:
    """Switch an address off; ``why`` is one sentence for its owners. What is to be posted waits.

    Raises:
        Problem: ``not_found``.
    """
    row = existing(session, api_client_id)
    switch_off(session, row, why, actor)
    row.noticed_at = clock.now()  # who switched it off knows
    return _record(session, row)


def switch_off(session: Session, row: CallbackEndpoint, why: str, actor: Actor) -> None:
    """Switch an address off, if it is on; the change is audited."""
    if row.disabled_at is None:
        row.disabled_at, row.disabled_why = clock.now(), why
        _told(session, row, actor, "disabled")


def enable(session: Session, api_client_id: int, actor: Actor) -> EndpointRecord:
    """Switch an address on again; what waits is posted, what was meanwhile is not told.

    Raises:
        Problem: ``not_found``.
    """
    row = existing(session, api_client_id)
    if row.disabled_at is not None:
        _switch_on(row)
        _told(session, row, actor, "enabled")
        commits.after(session, "callback addresses", subscriptions.clear)
    return _record(session, row)


def signing_secrets(session: Session, endpoint_id: int) -> list[str]:
    """Return the secrets that sign now, the newest first."""
    return [signing.unseal(row.id, row.sealed) for row in _secrets(session, endpoint_id)]


def existing(session: Session, api_client_id: int, *, lock: bool = True) -> CallbackEndpoint:
    """Return the row of a client's address; ``lock`` keeps other writers from it until the transaction ends.

    Raises:
        Problem: ``not_found``.
    """
    row = _row(session, api_client_id, lock=lock)
    if row is None:
        raise Problem("not_found", "This API client has no callback address.")
    return row


def _row(session: Session, api_client_id: int, *, lock: bool = True) -> CallbackEndpoint | None:
    query = select(CallbackEndpoint).where(CallbackEndpoint.api_client_id == api_client_id)
    return session.scalar(query.with_for_update(key_share=True) if lock else query)


def _switch_on(row: CallbackEndpoint) -> None:
    row.updated_at = row.enabled_at = clock.now()
    row.disabled_at = row.disabled_why = row.noticed_at = None
    row.failing_since = row.resume_at = None
    row.failures = 0


def _secrets(session: Session, endpoint_id: int) -> list[CallbackSecret]:
    rows = session.scalars(
        select(CallbackSecret).where(CallbackSecret.endpoint_id == endpoint_id).order_by(CallbackSecret.id.desc())
    )
    return [row for row in rows if row.expires_at is None or row.expires_at > clock.now()]


def _add_secret(session: Session, row: CallbackEndpoint) -> NewSigningSecret:
    secret = signing.make_secret()
    kept = CallbackSecret(endpoint_id=row.id, sealed="", created_at=clock.now())
    session.add(kept)
    session.flush()
    kept.sealed = signing.seal(kept.id, secret)
    session.flush()
    return NewSigningSecret(secret)


def _told(session: Session, row: CallbackEndpoint, actor: Actor, what: str) -> None:
    subject = f"{row.url.partition('://')[2].partition('/')[0]} ({row.api_client_id})"
    audit.record(session, actor, f"callback.{what}", subject, service_id=row.service_id)


def _record(session: Session, row: CallbackEndpoint) -> EndpointRecord:
    return EndpointRecord(
        url=row.url,
        enabled=row.disabled_at is None,
        disabled_at=row.disabled_at,
        disabled_why=row.disabled_why,
        failing_since=row.failing_since,
        failures=row.failures,
        secrets=len(_secrets(session, row.id)),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
