"""Claiming messages that are due, a few of each address, so that one that hangs holds up no other."""

from collections.abc import Collection, Mapping

import msgspec
from sqlalchemy import ColumnElement, String, and_, exists, or_, select, type_coerce, update
from sqlalchemy.orm import Session

from backend.db import leases
from backend.db.models.accounts import ApiClient
from backend.db.models.callbacks import CallbackEndpoint, CallbackMessage
from backend.lib import clock

# At most so many posts to one address at a time, in one process.
OF_ONE_ADDRESS = 3


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A message claimed by a worker, claimed under ``token``.

    ``attempts`` counts the tries before this one, ``sealed_url`` is its way.
    """

    token: str
    id: int
    uid: str
    endpoint_id: int
    sealed_url: str
    payload: str
    attempts: int


def claim(session: Session, token: str, *, limit: int, busy: Mapping[int, int]) -> list[Claim]:
    """Take up to ``limit`` due messages; ``busy`` counts those of each address that this process is posting.

    Raises:
        LostError: if there is no lease of this token; nothing was claimed.
    """
    taken: list[Claim] = []
    endpoints = select(CallbackEndpoint.id, type_coerce(CallbackEndpoint.url, String)).where(_ready())
    for endpoint_id, sealed_url in session.execute(endpoints).all():
        capacity = min(OF_ONE_ADDRESS - busy.get(endpoint_id, 0), limit - len(taken))
        if capacity > 0:
            taken += _claim_of(session, token, endpoint_id, sealed_url, capacity)
    if taken:
        leases.check(session, token)
        session.execute(
            update(CallbackMessage)
            .where(CallbackMessage.id.in_([one.id for one in taken]))
            .values(claimed_by=token)
            .execution_options(synchronize_session=False)
        )
    return taken


def _claim_of(session: Session, token: str, endpoint_id: int, sealed_url: str, capacity: int) -> list[Claim]:
    columns = (CallbackMessage.id, CallbackMessage.uid, CallbackMessage.payload, CallbackMessage.attempts)
    rows = session.execute(
        select(*columns)
        .where(CallbackMessage.endpoint_id == endpoint_id, _due())
        .order_by(CallbackMessage.due_at)
        .limit(capacity)
        .with_for_update(skip_locked=True)
    )
    return [
        Claim(
            token=token,
            id=row.id,
            uid=row.uid,
            endpoint_id=endpoint_id,
            sealed_url=sealed_url,
            payload=row.payload,
            attempts=row.attempts,
        )
        for row in rows
    ]


def _due() -> ColumnElement[bool]:
    return and_(
        CallbackMessage.status == "PENDING",
        CallbackMessage.due_at <= clock.now(),
        CallbackMessage.claimed_by.is_(None),
    )


def _ready() -> ColumnElement[bool]:
    """Tell of addresses that are on, do not rest, belong to a live client, and have something due."""
    return and_(
        CallbackEndpoint.disabled_at.is_(None),
        or_(CallbackEndpoint.resume_at.is_(None), CallbackEndpoint.resume_at <= clock.now()),
        exists().where(ApiClient.id == CallbackEndpoint.api_client_id, ApiClient.revoked_at.is_(None)),
        exists().where(CallbackMessage.endpoint_id == CallbackEndpoint.id, _due()),
    )


def anything_due(session: Session) -> bool:
    """Tell whether there is something to post: a look that locks nothing."""
    return session.scalar(select(exists().where(_ready()))) or False


def orphaned(session: Session, mine: str, holding: Collection[int]) -> list[int]:
    """List the messages whose claims have no lease, and those under ``mine``, but for those that are in flight here."""
    return list(session.scalars(select(CallbackMessage.id).where(_left(mine, holding))))


def release(session: Session, found: Collection[int], mine: str, holding: Collection[int]) -> None:
    """Put orphaned messages back that nobody has taken up since.

    A message that a dead worker had claimed may have arrived: it goes again with the same ``webhook-id``.
    """
    session.execute(
        update(CallbackMessage)
        .where(CallbackMessage.id.in_(found), _left(mine, holding))
        .values(claimed_by=None)
        .execution_options(synchronize_session=False)
    )


def _left(mine: str, holding: Collection[int]) -> ColumnElement[bool]:
    return and_(leases.is_orphaned(CallbackMessage.claimed_by, mine), CallbackMessage.id.not_in(list(holding)))
