"""``/registry/v1/senders``: the addresses that e-mails of the client's service may come from, or answers go to."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Request, get

from backend.accounts import senders
from backend.api import errors
from backend.api.guards import bearer, principal
from backend.db import database as db


class SenderAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A sender; ``name`` is the display name before the address, empty for none.

    ``kind`` is ``from`` for what e-mails come from, ``reply_to`` for where answers go. It can be chosen once it is
    verified: ``verified_at`` is null before. The ``default`` is what e-mails have that choose none.
    """

    id: UUID
    kind: Literal["from", "reply_to"]
    address: str
    name: str
    verified_at: datetime | None
    default: bool


class SenderList(msgspec.Struct, frozen=True):
    """All senders of the service, by kind and address; there are at most fifty."""

    senders: list[SenderAnswer]


class Senders(Controller):
    """Senders."""

    path = "/registry/v1/senders"
    tags = ("Senders",)
    guards = (bearer,)

    @get(
        operation_id="listSenders",
        summary="List senders",
        description=(
            "What an EMAIL channel or a template may choose as its `sender` and `reply_to`, by id or address. They are"
            " added and verified in the portal."
        ),
        opt={"scope": "registry:read"},
        responses=errors.documented(400, 401, 403, 429, 503),
        sync_to_thread=True,
    )
    def index(self, request: Request[Any, Any, Any]) -> SenderList:
        """Return all of them."""
        with db.current().read() as session:
            rows = senders.of_service(session, principal(request).service_id)
            return SenderList(
                [
                    SenderAnswer(
                        id=row.uid,
                        kind="from" if row.kind == "from" else "reply_to",
                        address=row.address,
                        name=row.name,
                        verified_at=row.verified_at,
                        default=row.is_default,
                    )
                    for row in rows
                ]
            )


ROUTES = [Senders]
