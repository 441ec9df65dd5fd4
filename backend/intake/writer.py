"""The one writer of notifications and of the deliveries that they begin with: what is accepted is stored by this.

These are the statements of accepting that go to the driver as they are.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import Table
from sqlalchemy.orm import Session

from backend.channels import redirects, simulator
from backend.channels.base import Channel
from backend.db.driver import Insert, Select, uuid
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, Priority
from backend.intake.content import Content
from backend.intake.validate import Plan, ServiceState
from backend.lib import ids, keyring
from backend.lib.problems import FieldError
from backend.registry import sending
from backend.registry.sending import Wait

_NOTIFICATION = (
    "uid",
    "service_id",
    "api_client_id",
    "priority",
    "aggregator_id",
    "status",
    "content",
    "problem",
    "created_at",
    "updated_at",
    "accepted_at",
    "send_at",
    "mode",
    "job_id",
)
_notifications = cast("Table", Notification.__table__)
_INSERT = Insert(_notifications, _NOTIFICATION, "ON CONFLICT (uid) DO NOTHING RETURNING uid, id")
_IDS = Select("SELECT uid, id FROM notifications WHERE uid IN ({})")
_THERE = "SELECT uid, id, status, accepted_at FROM notifications WHERE uid IN ({}) ORDER BY id"
_LOCK_THERE = {"sqlite": Select(_THERE), "postgresql": Select(f"{_THERE} FOR UPDATE")}
_DELIVERY = (
    "uid",
    "notification_id",
    "service_id",
    "priority",
    "channel_index",
    "type",
    "template_version_id",
    "recipients",
    "address",
    "status",
    "attempts",
    "due_at",
    "created_at",
    "matter_id",
    "mode",
    "meant_for",
)
_deliveries = cast("Table", Delivery.__table__)
_INSERT_DELIVERIES = Insert(_deliveries, _DELIVERY)
# Apart, so that what may leave at once has no columns more for what may not.
_INSERT_WAITING = Insert(_deliveries, (*_DELIVERY, "waits", "waits_why"))
_STAYS: dict[str, Any] = {}


def notifications(session: Session, rows: Sequence[dict[str, Any]]) -> dict[UUID, int]:
    """Insert those notifications that are not there yet, each with all its columns; return their ids."""
    return {uuid(uid): identity for uid, identity in _INSERT.run(session, rows)}


def known(session: Session, uids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the ids of those notifications that are there."""
    return {uuid(uid): identity for uid, identity in _IDS.rows(session, uids)}


def locked(session: Session, uids: Sequence[UUID]) -> dict[UUID, tuple[int, str | None]]:
    """Lock those notifications that are there; return their ids, and the status of each that was accepted."""
    rows = _LOCK_THERE[session.get_bind().dialect.name].rows(session, uids)
    return {uuid(uid): (identity, status if accepted_at else None) for uid, identity, status, accepted_at in rows}


def delivery(notification_id: int, moment: datetime, **own: Any) -> dict[str, Any]:
    """Return the row of a delivery that may leave at ``moment``; ``own`` is what it has of its own."""
    return {
        "notification_id": notification_id,
        "status": DeliveryStatus.QUEUED.value,
        "attempts": 0,
        "due_at": moment,
        "created_at": moment,
        "matter_id": None,
        "meant_for": None,
        **own,
    }


def deliveries(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert deliveries, those that wait for a window or the end of a mute among them."""
    held = [row for row in rows if "waits" in row]
    _INSERT_DELIVERIES.send(session, [row for row in rows if "waits" not in row] if held else rows)
    _INSERT_WAITING.send(session, held)


# The rows of deliveries that an accepted notification becomes.


def _held(rows: Sequence[dict[str, Any]], plan: Plan) -> list[dict[str, Any]]:
    """Let those of a plan's rows wait that may not leave at once."""
    targets = [(index, target.address) for index, planned in enumerate(plan.channels) for target in planned.targets]
    return [row | waiting(plan.waits.get(target)) for row, target in zip(rows, targets, strict=True)]


def waiting(wait: Wait | None) -> dict[str, Any]:
    """Say what is different of a delivery that may not leave at once."""
    if wait is None:
        return _STAYS
    scheduled = DeliveryStatus.SCHEDULED.value
    return {"status": scheduled, "due_at": wait.until, "waits": wait.code, "waits_why": wait.detail}


def at_once(notification_id: int, content: Content, plan: Plan, now: datetime) -> list[dict[str, Any]]:
    """Write a message to each address; one that has to wait for a window, or the end of a mute, is SCHEDULED."""
    assert content.notification is not None  # noqa: S101 - what has a plan is a notification
    about = content.notification.about
    matter_id = ids.matter_id(content.service_id, about) if about is not None else None
    rows = [
        delivery(
            notification_id,
            now,
            uid=ids.delivery_id(content.uid, index, target.address),
            service_id=content.service_id,
            priority=content.priority.value,
            channel_index=index,
            type=planned.channel.type,
            template_version_id=target.choice.template.version_id,
            recipients=target.recipients,
            address=target.address,
            matter_id=matter_id,
            mode=content.manner.mode.value,
        )
        for index, planned in enumerate(plan.channels)
        for target in planned.targets
    ]
    if content.manner.redirect is not None:
        rows = [row | _redirected(row["type"], row["address"], content.manner.redirect) for row in rows]
    return _held(rows, plan) if plan.waits else rows


def scheduled(notification_id: int, content: Content, plan: Plan, now: datetime) -> list[dict[str, Any]]:
    """Write what waits for its moment: a message to each address, or, of BATCH, a membership for each recipient."""
    waits = {"status": DeliveryStatus.SCHEDULED.value, "due_at": content.moment}
    if content.priority is not Priority.BATCH:
        return [row | waits for row in at_once(notification_id, content, plan, now)]
    return [
        delivery(
            notification_id,
            now,
            uid=ids.scheduled_membership_id(content.uid, index, recipient),
            service_id=content.service_id,
            priority=Priority.BATCH.value,
            channel_index=index,
            type=planned.channel.type,
            template_version_id=planned.choices[recipient].template.version_id,
            recipients=[recipient],
            address="",
            mode=content.manner.mode.value,
            **waits,
        )
        for index, planned in enumerate(plan.channels)
        for recipient in dict.fromkeys(planned.channel.recipient)
    ]


def _redirected(channel: str, address: str, redirect: str) -> dict[str, Any]:
    """Say what is different of a delivery that goes elsewhere."""
    way = redirects.way(Channel(channel), address, redirect)
    sealed = keyring.seal_address(way.address) if "://" in way.address else way.address
    return {"type": way.channel.value, "address": sealed, "meant_for": way.meant_for}


# What of a notification has to wait for a window or the end of a mute, as it is accepted.


def held(session: Session, content: Content, plan: Plan, service: ServiceState, moment: datetime) -> Plan:
    """Return a plan with what its messages wait for that could leave at a moment.

    What joins a batch waits with that; messages to the simulator reach nobody, and wait for nothing.
    """
    if not service.rules or content.priority is Priority.BATCH:
        return plan
    rules = sending.of_service(session, content.service_id, service.rules)
    high = content.priority is Priority.HIGH
    waits: dict[tuple[int, str], Wait] = {}
    for index, planned in enumerate(plan.channels):
        for target in planned.targets:
            if simulator.is_address(Channel(planned.channel.type), target.address):
                continue
            wait = rules.wait(planned.template.identifier, target.recipients, high=high, moment=moment)
            if wait is not None:
                waits[index, target.address] = wait
    return msgspec.structs.replace(plan, waits=waits) if waits else plan


def warnings(plan: Plan) -> Iterator[FieldError]:
    """Say of each channel what its messages wait for."""
    told: set[tuple[int, str]] = set()
    for (index, _), wait in plan.waits.items():
        if (index, wait.detail) not in told:
            told.add((index, wait.detail))
            yield FieldError(f"/channels/{index}", wait.code, wait.sentence())
