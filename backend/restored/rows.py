"""What is held back, as one list: each kind's rows with their age, channel and service."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, and_, func, literal, select

from backend.channels.base import Channel
from backend.db.models.batches import Batch, BatchStatus
from backend.db.models.callbacks import CallbackEndpoint, CallbackMessage
from backend.db.models.installation import NEVER, HeldKind, HeldRow
from backend.db.models.jobs import Job
from backend.db.models.notifications import NOT_LEFT, Delivery
from backend.db.models.spreadsheets import Spreadsheet, Stage
from backend.db.statements import one_of
from backend.lib import clock

# What stands for the channel of a status event to a client system.
CALLBACK = "CALLBACK"
CHANNELS = (*(channel.value for channel in Channel), CALLBACK)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the rows: those accepted longer ago than a span, of a channel, of a service; all if nothing is said."""

    older_than: timedelta | None = None
    channel: str | None = None
    service_id: int | None = None

    def among(self, rows: Any) -> ColumnElement[bool]:
        """Tell which rows of a list are meant."""
        conditions: list[ColumnElement[bool]] = [literal(1) == 1]
        if self.older_than is not None:
            conditions.append(rows.c.since < clock.now() - self.older_than)
        if self.channel is not None:
            conditions.append(rows.c.channel == self.channel)
        if self.service_id is not None:
            conditions.append(rows.c.service_id == self.service_id)
        return and_(*conditions)


def _of(kind: HeldKind, model: Any, since: Any, channel: Any, service_id: Any) -> Select[Any]:
    columns = (model.id.label("row_id"), since.label("since"), channel.label("channel"), service_id.label("service_id"))
    own = and_(HeldRow.row_id == model.id, HeldRow.kind == kind.value)
    return select(HeldRow.id.label("held_id"), literal(kind.value).label("kind"), *columns).join_from(
        HeldRow, model, own
    )


def still_held(kind: HeldKind) -> Select[Any]:
    """Select ``held_id, kind, row_id, since, channel, service_id`` of what is held back and nobody has decided about.

    People may have cancelled some of it meanwhile.
    """
    match kind:
        case HeldKind.DELIVERY:
            since: datetime | Any = func.coalesce(Delivery.requeued_at, Delivery.created_at)
            found = _of(kind, Delivery, since, Delivery.type, Delivery.service_id)
            return found.where(one_of(Delivery.status, NOT_LEFT), Delivery.due_at == NEVER)
        case HeldKind.BATCH:
            found = _of(kind, Batch, Batch.opened_at, Batch.type, Batch.service_id)
            return found.where(Batch.status == BatchStatus.CLOSED.value)
        case HeldKind.CALLBACK:
            service = CallbackEndpoint.service_id
            found = _of(kind, CallbackMessage, CallbackMessage.created_at, literal(CALLBACK), service)
            found = found.join(CallbackEndpoint, CallbackEndpoint.id == CallbackMessage.endpoint_id)
            return found.where(CallbackMessage.status == "PENDING", CallbackMessage.due_at == NEVER)
        case HeldKind.SPREADSHEET:
            found = _of(kind, Spreadsheet, Spreadsheet.changed_at, Spreadsheet.channel, Job.service_id)
            found = found.join(Job, Job.id == Spreadsheet.job_id)
            return found.where(one_of(Spreadsheet.stage, (Stage.SENDING, Stage.AGAIN)), Spreadsheet.due_at == NEVER)
