"""Claiming messages that are due, a few of each address, so that one that hangs holds up no other."""

from collections.abc import Collection, Mapping

import msgspec
from sqlalchemy import ColumnElement, String, and_, exists, or_, select, type_coerce, update
from sqlalchemy.orm import Session

from backend.db.models.accounts import ApiClient
from backend.db.models.callbacks import CallbackEndpoint, CallbackMessage
from backend.db.models.operations import Worker
from backend.lib import clock

# At most so many posts to one address at a time, in one process.
OF_ONE_ADDRESS = 3


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A message in this worker's hands; ``attempts`` counts the tries before this one, ``sealed_url`` is its way."""

    id: int
    uid: str
    endpoint_id: int
    sealed_url: str
    payload: str
    attempts: int


def claim(session: Session, worker: str, *, limit: int, busy: Mapping[int, int]) -> list[Claim]:
    """Take up to ``limit`` due messages; ``busy`` counts those of each address that this process is posting."""
    taken: list[Claim] = []
    places = select(CallbackEndpoint.id, type_coerce(CallbackEndpoint.url, String)).where(_ready())
    for endpoint_id, sealed_url in session.execute(places).all():
        room = min(OF_ONE_ADDRESS - busy.get(endpoint_id, 0), limit - len(taken))
        if room > 0:
            taken += _claim_of(session, endpoint_id, sealed_url, room)
    if taken:
        session.execute(
            update(CallbackMessage)
            .where(CallbackMessage.id.in_([one.id for one in taken]))
            .values(claimed_by=worker)
            .execution_options(synchronize_session=False)
        )
    return taken


def _claim_of(session: Session, endpoint_id: int, sealed_url: str, room: int) -> list[Claim]:
    columns = (CallbackMessage.id, CallbackMessage.uid, CallbackMessage.payload, CallbackMessage.attempts)
    rows = session.execute(
        select(*columns)
        .where(CallbackMessage.endpoint_id == endpoint_id, _due())
        .order_by(CallbackMessage.due_at)
        .limit(room)
        .with_for_update(skip_locked=True)
    )
    return [
        Claim(
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


def stranded(session: Session, mine: str, holding: Collection[int]) -> list[int]:
    """List the messages that dead workers held, and that the worker ``mine`` bears but is not ``holding``."""
    return list(session.scalars(select(CallbackMessage.id).where(_left(mine, holding))))


def release(session: Session, found: Collection[int], mine: str, holding: Collection[int]) -> None:
    """Put stranded messages back that nobody has taken up since.

    A message that was in a dead hand may have arrived: it goes again with the same ``webhook-id``.
    """
    session.execute(
        update(CallbackMessage)
        .where(CallbackMessage.id.in_(found), _left(mine, holding))
        .values(claimed_by=None)
        .execution_options(synchronize_session=False)
    )


def _left(mine: str, holding: Collection[int]) -> ColumnElement[bool]:
    living = select(Worker.name).where(Worker.name != mine)
    return and_(
        CallbackMessage.claimed_by.is_not(None),
        CallbackMessage.claimed_by.not_in(living),
        CallbackMessage.id.not_in(list(holding)),
    )
