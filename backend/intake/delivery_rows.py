"""The rows of deliveries that an accepted notification becomes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from backend.channels import redirects
from backend.channels.base import Channel
from backend.db.models.notifications import DeliveryStatus, Priority
from backend.intake import writer
from backend.intake.content import Content
from backend.intake.lookup import PRIORITY
from backend.intake.validate import Plan
from backend.lib import ids, keyring
from backend.registry.sending import Wait

_STAYS: dict[str, Any] = {}


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
        writer.delivery(
            notification_id,
            now,
            uid=ids.delivery_id(content.uid, index, target.address),
            service_id=content.service_id,
            priority=PRIORITY[content.notification.priority].value,
            channel_index=index,
            type=planned.channel.type,
            template_version_id=target.choice.template.version_id,
            recipients=target.recipients,
            address=target.address,
            matter_id=matter_id,
            mode=content.manner.mode.value,
        )
        | _redirected(planned.channel.type, target.address, content.manner.redirect)
        for index, planned in enumerate(plan.channels)
        for target in planned.targets
    ]
    return _held(rows, plan) if plan.waits else rows


def scheduled(notification_id: int, content: Content, plan: Plan, now: datetime) -> list[dict[str, Any]]:
    """Write what waits for its moment: a message to each address, or, of BATCH, a membership for each recipient."""
    assert content.notification is not None  # noqa: S101 - what has a plan is a notification
    waits = {"status": DeliveryStatus.SCHEDULED.value, "due_at": content.notification.moment}
    if PRIORITY[content.notification.priority] is not Priority.BATCH:
        return [row | waits for row in at_once(notification_id, content, plan, now)]
    return [
        writer.delivery(
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


def _redirected(channel: str, address: str, redirect: str | None) -> dict[str, Any]:
    """Say what is different of a delivery that goes elsewhere."""
    if redirect is None:
        return _STAYS
    way = redirects.way(Channel(channel), address, redirect)
    sealed = keyring.seal_address(way.address) if "://" in way.address else way.address
    return {"type": way.channel.value, "address": sealed, "meant_for": way.meant_for}
