"""Addresses that were switched off because they failed, whose owners have not been told yet."""

import msgspec
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from backend.accounts import members
from backend.db.models.accounts import ApiClient, Service
from backend.db.models.callbacks import CallbackEndpoint
from backend.lib import clock


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """An API client's address that is off, why, and whom to tell: the service's administrators."""

    endpoint_id: int
    service_id: int
    service: str
    client: str
    why: str
    administrators: list[str]


def untold(session: Session) -> list[Ended]:
    """List the addresses whose end nobody has been told of."""
    rows = session.execute(
        select(
            CallbackEndpoint.id,
            CallbackEndpoint.service_id,
            CallbackEndpoint.disabled_why,
            Service.name.label("service"),
            ApiClient.name.label("client"),
        )
        .join(Service, Service.id == CallbackEndpoint.service_id)
        .join(ApiClient, ApiClient.id == CallbackEndpoint.api_client_id)
        .where(CallbackEndpoint.disabled_at.is_not(None), CallbackEndpoint.noticed_at.is_(None))
    )
    return [
        Ended(
            endpoint_id=row.id,
            service_id=row.service_id,
            service=row.service,
            client=row.client,
            why=row.disabled_why or "",
            administrators=_administrators(session, row.service_id),
        )
        for row in rows.all()
    ]


def _administrators(session: Session, service_id: int) -> list[str]:
    return [one.email for one in members.of_service(session, service_id) if one.active and one.role == "admin"]


def told(session: Session, endpoint_id: int) -> bool:
    """Mark that the owners are being told; false if somebody else was quicker, or the address is on again."""
    mine = update(CallbackEndpoint).where(
        CallbackEndpoint.id == endpoint_id,
        CallbackEndpoint.disabled_at.is_not(None),
        CallbackEndpoint.noticed_at.is_(None),
    )
    marked = mine.values(noticed_at=clock.now()).returning(CallbackEndpoint.id)
    return session.execute(marked.execution_options(synchronize_session=False)).first() is not None
