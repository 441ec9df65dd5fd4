"""Lists of notifications: filtered, newest first, in pages that do not shift while new ones come in."""

from collections.abc import Iterator
from datetime import datetime

import msgspec
from sqlalchemy import ColumnElement, String, cast, select
from sqlalchemy.orm import Session

from backend.db.models.notifications import Delivery, Notification, Priority
from backend.db.models.registry import Template, TemplateVersion
from backend.reports.model import NotificationRow


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What to list; an absent member filters nothing. ``created_to`` is exclusive."""

    status: str | None = None
    priority: str | None = None
    template_id: str | None = None
    recipient: str | None = None
    aggregator_id: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


def page(
    session: Session, service_id: int, wanted: Filter, *, limit: int, before: int | None
) -> tuple[list[NotificationRow], int | None]:
    """Return a service's notifications behind the row ``before``, newest first, and where the next page begins."""
    statement = select(Notification).where(Notification.service_id == service_id, *_conditions(wanted))
    if before is not None:
        statement = statement.where(Notification.id < before)
    rows = session.scalars(statement.order_by(Notification.id.desc()).limit(limit + 1)).all()
    more = len(rows) > limit
    return [_row(row) for row in rows[:limit]], rows[limit - 1].id if more else None


def _conditions(wanted: Filter) -> Iterator[ColumnElement[bool]]:
    if wanted.status is not None:
        yield Notification.status == wanted.status
    if wanted.priority is not None:
        yield Notification.priority == Priority[wanted.priority].value
    if wanted.aggregator_id is not None:
        yield Notification.aggregator_id == wanted.aggregator_id
    if wanted.created_from is not None:
        yield Notification.created_at >= wanted.created_from
    if wanted.created_to is not None:
        yield Notification.created_at < wanted.created_to
    deliveries = select(Delivery.id).where(Delivery.notification_id == Notification.id)
    if wanted.template_id is not None:
        versions = (
            select(TemplateVersion.id)
            .join(Template, Template.id == TemplateVersion.template_id)
            .where(Template.identifier == wanted.template_id)
        )
        yield deliveries.where(Delivery.template_version_id.in_(versions)).exists()
    if wanted.recipient is not None:
        # The identifiers are capital letters, digits and underscores, so the quotes mark where one ends.
        quoted = f'"{wanted.recipient}"'
        yield deliveries.where(cast(Delivery.recipients, String).contains(quoted, autoescape=True)).exists()


def _row(row: Notification) -> NotificationRow:
    return NotificationRow(
        notification_id=str(row.uid),
        status=row.status,
        priority=Priority(row.priority).name,
        aggregator_id=row.aggregator_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        links={"self": f"/notifications/v1/{row.uid}"},
    )
