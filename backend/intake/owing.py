"""What an accepted notification owes, as it is stored: its steps as notifications that are sent if it comes to that."""

import json
from datetime import datetime

from backend.intake.content import Content, spelled_out_channel
from backend.intake.schema import StepIn
from backend.lib import durations, ids
from backend.obligations.opening import NewObligation, NewStep


def obligation(content: Content, now: datetime) -> NewObligation | None:
    """Return what a notification owes that is accepted now, if it owes anything.

    The steps of one that is scheduled count from its moment: nobody can answer before.
    """
    notification = content.notification
    if notification is None or notification.obligation is None:
        return None
    owes, about = notification.obligation, notification.about
    return NewObligation(
        service_id=content.service_id,
        api_client_id=content.api_client_id,
        notification_uid=content.uid,
        policy_id=notification.policy_id,
        until=owes.until,
        at_last=owes.at_last,
        steps=[NewStep(_seconds(step), _content(step, notification.priority, about)) for step in owes.steps],
        begins=notification.moment if notification.is_scheduled(now) else None,
        matter_id=ids.matter_id(content.service_id, about) if about is not None else None,
    )


def _seconds(step: StepIn) -> int:
    return int(durations.delay(step.after).total_seconds())


def _content(step: StepIn, priority: str, about: str | None) -> str | None:
    if not step.channels:
        return None
    channels = [spelled_out_channel(channel) for channel in step.channels]
    # A step continues the conversation about what the notification is about.
    said = {"channels": channels, "priority": priority} | ({"matter": about} if about is not None else {})
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))
