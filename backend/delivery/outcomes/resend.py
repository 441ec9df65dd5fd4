"""Queueing failed deliveries anew, to the present addresses of their recipients, each once however often it is asked.

What was sent or delivered is left alone. A message to the same address keeps its identity and has all its tries from
now on; where the address has changed, the new one gets a message of its own, and the old one is given up for it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Table, bindparam, or_, select, update
from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.db import events, statements
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification
from backend.db.models.registry import Template, TemplateVersion
from backend.db.statements import listed
from backend.db.types import sealed
from backend.delivery.outcomes import present, states
from backend.delivery.outcomes.present import Plan, Why
from backend.delivery.outcomes.record import RENDERING
from backend.lib import clock, ids
from backend.registry import lookup
from backend.search import again as search_again

_deliveries = cast("Table", Delivery.__table__)
_AGAIN: dict[str, Any] = {
    "status": DeliveryStatus.QUEUED.value,
    "attempts": 0,
    "provider": None,
    "provider_message_id": None,
    "error": None,
    "superseded_by": None,
}
_REQUEUE = (
    update(_deliveries)
    .where(listed(_deliveries.c.id, "ids"))
    .values(**_AGAIN, due_at=bindparam("now"), requeued_at=bindparam("now"))
)
_LOOKED_AT = update(_deliveries).where(listed(_deliveries.c.id, "ids")).values(requeued_at=bindparam("now"))
_SUPERSEDE = (
    update(_deliveries)
    .where(_deliveries.c.id == bindparam("old"))
    .values(status=DeliveryStatus.CANCELLED.value, superseded_by=bindparam("new"))
)
_READ_AT_ONCE = 500


class Resent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one message, given by its delivery's public id.

    It is queued anew; ``instead_of`` is the delivery whose place it takes, if any. With ``why`` it stays as it is.
    ``notification_id`` and ``batch_id`` are the row of what it belongs to.
    """

    uid: UUID
    instead_of: UUID | None = None
    why: Why | None = None
    notification_id: int | None = None
    batch_id: int | None = None


class Done(msgspec.Struct, frozen=True):
    """What was looked at: each message's fate, and the priorities of those that are queued, to wake workers for."""

    messages: list[Resent]
    priorities: frozenset[int]

    @property
    def queued(self) -> int:
        """Count the messages that go."""
        return sum(one.why is None for one in self.messages)

    @property
    def resolved(self) -> int:
        """Count the messages that go, and those that need not."""
        return sum(one.why in {None, Why.REACHED} for one in self.messages)


def failed(session: Session, wanted: ColumnElement[bool], limit: int | None = None) -> Sequence[Delivery]:
    """Read and lock those of the deliveries that have failed at this moment, whoever else looks at them."""
    found = select(Delivery).where(present.failed(wanted)).order_by(Delivery.id).with_for_update()
    return session.scalars(found if limit is None else found.limit(limit)).all()


def queue_anew(
    session: Session, service_id: int, deliveries: Sequence[Delivery], asked: str, *, at: datetime | None = None
) -> Done:
    """Queue what ``failed`` has returned; ``asked`` says by whom it was asked for, for the events.

    Notifications and batches follow. The caller commits, and wakes workers. ``at`` stands for now.
    """
    if not deliveries:
        return Done([], frozenset())
    now = at or clock.now()
    _made_anew(session, service_id, deliveries)
    plans = present.plans(session, service_id, deliveries)
    rows = {one["uid"]: one for one in _new_rows(session, plans, now)}
    made = _store(session, list(rows.values()))
    search_again.of_notifications(session, {row["notification_id"] for row in rows.values()} - {None})
    for batch_id in {row["batch_id"] for row in rows.values()} - {None}:
        search_again.of_batch(session, batch_id)
    again = [plan.delivery.id for plan in plans if any(target.same for target in plan.going)]
    connection = session.connection()
    connection.execute(_LOOKED_AT, {"ids": [one.id for one in deliveries], "now": now})
    connection.execute(_REQUEUE, {"ids": again, "now": now})
    told = _Telling(session, made, asked, now)
    messages = [message for plan in plans for message in told.about(plan)]
    if told.superseded:
        connection.execute(_SUPERSEDE, told.superseded)
    if told.events:
        events.write(session, told.events)
        states.refresh(session, {one.notification_id for one in deliveries if one.notification_id is not None})
        states.refresh_batches(session, {one.batch_id: None for one in deliveries if one.batch_id is not None})
    return Done(messages, frozenset(plan.delivery.priority for plan in plans if plan.going))


def _made_anew(session: Session, service_id: int, deliveries: Sequence[Delivery]) -> None:
    """Let what its template could not render be made from what is published now: of what it was, nothing was sent."""
    unmade = [one for one in deliveries if one.provider == RENDERING and one.status == DeliveryStatus.FAILED]
    if not unmade:
        return
    named = (
        select(TemplateVersion.id, Template.identifier)
        .join(Template, Template.id == TemplateVersion.template_id)
        .where(TemplateVersion.id.in_({one.template_version_id for one in unmade}), TemplateVersion.number > 0)
    )
    names = dict(session.execute(named).tuples().all())
    published = lookup.templates(session, service_id, set(names.values()))
    for one in unmade:
        template = published.get(names.get(one.template_version_id, ""))
        if template is not None:
            one.template_version_id = template.version_id
    session.flush()


def _new_rows(session: Session, plans: Sequence[Plan], now: datetime) -> list[dict[str, Any]]:
    """Make the rows of what goes to another address than the one that failed, all else being the same."""
    with_new = [plan for plan in plans if any(not target.same for target in plan.going)]
    notifications = _uids(session, Notification, {plan.delivery.notification_id for plan in with_new})
    batches = _uids(session, Batch, {plan.delivery.batch_id for plan in with_new})
    return [
        _AGAIN
        | {
            "uid": _uid(plan.delivery, target.address, notifications, batches),
            "notification_id": plan.delivery.notification_id,
            "batch_id": plan.delivery.batch_id,
            "service_id": plan.delivery.service_id,
            "priority": plan.delivery.priority,
            "channel_index": plan.delivery.channel_index,
            "type": plan.delivery.type,
            "template_version_id": plan.delivery.template_version_id,
            "recipients": plan.delivery.recipients,
            "address": target.address,
            "matter_id": plan.delivery.matter_id,
            "mode": plan.delivery.mode,
            "due_at": now,
            "requeued_at": now,
            "created_at": now,
        }
        for plan in with_new
        for target in plan.going
        if not target.same
    ]


def _uids(session: Session, model: type[Notification] | type[Batch], rows: set[int | None]) -> dict[int | None, UUID]:
    wanted = select(model.id, model.uid).where(model.id.in_(rows - {None}))
    return dict(session.execute(wanted).all())


def _uid(
    one: Delivery, address: str, notifications: Mapping[int | None, UUID], batches: Mapping[int | None, UUID]
) -> UUID:
    # Intake makes it from the address as the database has it.
    if one.batch_id is not None:
        return ids.batch_delivery_id(batches[one.batch_id], sealed(address))
    return ids.delivery_id(notifications[one.notification_id], one.channel_index or 0, sealed(address))


def _store(session: Session, rows: Sequence[dict[str, Any]]) -> dict[tuple[int | None, int | None, str], Delivery]:
    """Insert the rows; one that is there, and was given up or failed, begins again with the identity it had."""
    if not rows:
        return {}
    unsuccessful = or_(
        Delivery.status == DeliveryStatus.FAILED.value, Delivery.status == DeliveryStatus.CANCELLED.value
    )
    values = {name: rows[0][name] for name in ("due_at", "requeued_at")} | _AGAIN
    statement = statements.insert(session, Delivery)
    session.execute(statement.on_conflict_do_update(index_elements=["uid"], set_=values, where=unsuccessful), rows)
    uids = [row["uid"] for row in rows]
    found: dict[tuple[int | None, int | None, str], Delivery] = {}
    for begin in range(0, len(uids), _READ_AT_ONCE):
        some = session.scalars(select(Delivery).where(Delivery.uid.in_(uids[begin : begin + _READ_AT_ONCE])))
        found |= {(one.notification_id, one.batch_id, f"{one.channel_index} {one.address}"): one for one in some}
    return found


def _resent(one: Delivery, old: Delivery, *, instead_of: UUID | None = None, why: Why | None = None) -> Resent:
    return Resent(
        uid=one.uid,
        instead_of=instead_of,
        why=why,
        notification_id=old.notification_id,
        batch_id=old.batch_id,
    )


class _Telling:
    """Says what became of each message, and gathers the events and the rows that are given up."""

    def __init__(
        self, session: Session, made: Mapping[tuple[int | None, int | None, str], Delivery], asked: str, now: datetime
    ) -> None:
        self._session = session
        self._made = made
        self._asked = asked
        self._now = now
        self.events: list[dict[str, Any]] = []
        self.superseded: list[dict[str, int]] = []

    def about(self, plan: Plan) -> list[Resent]:
        """Tell what became of one failed delivery."""
        old = plan.delivery
        new = [self._made[self._key(old, target.address)] for target in plan.going if not target.same]
        same = any(target.same for target in plan.going)
        gone = not any(target.same for target in plan.targets)
        instead = new[0] if new else self._heir(plan)
        if gone and instead is not None:
            self.superseded.append({"old": old.id, "new": instead.id})
            self._happened(old, "superseded", f"{masked(instead.type, instead.address)} gets it instead, {self._asked}")
        queued = [old] * same + new
        for one in queued:
            self._happened(one, "again", self._asked)
        messages = [_resent(one, old, instead_of=old.uid if gone else None) for one in queued]
        return messages or [_resent(old, old, why=plan.why)]

    def _heir(self, plan: Plan) -> Delivery | None:
        """Return the delivery that takes the place of one whose own address is gone, if there is one already."""
        if plan.instead is not None:
            return self._session.get(Delivery, plan.instead)
        made = (self._made.get(self._key(plan.delivery, target.address)) for target in plan.shared)
        return next((one for one in made if one is not None), None)

    @staticmethod
    def _key(old: Delivery, address: str) -> tuple[int | None, int | None, str]:
        return old.notification_id, old.batch_id, f"{old.channel_index} {address}"

    def _happened(self, one: Delivery, kind: str, detail: str) -> None:
        own = [(one.id, one.notification_id, one.batch_id)]
        self.events += events.of_deliveries(kind, detail, own, self._now)
