"""What a submission says: parsed, checked, and brought into the one form that its identity is made from."""

from typing import Any
from uuid import UUID

import msgspec

from backend.intake import schema
from backend.intake.schema import NotificationIn
from backend.lib import ids, shapes, strict_json
from backend.lib.problems import FieldError, Problem


class Submission(msgspec.Struct, frozen=True):
    """One request body as it came, and who sent it."""

    service_id: int
    api_client_id: int | None
    raw: bytes


class Content(msgspec.Struct, frozen=True):
    """A well-formed JSON object with its identity; ``fault`` says why it is no notification, if it is none."""

    service_id: int
    api_client_id: int | None
    uid: UUID
    canonical: bytes
    notification: NotificationIn | None
    fault: Problem | None


def read(submission: Submission) -> Content:
    """Read a submission.

    Raises:
        Problem: when it is no JSON object, so that it has no identity at all.
    """
    data, is_plain = strict_json.read(submission.raw)
    if not isinstance(data, dict):
        detail = "The body must be one JSON object with the member 'channels'."
        raise Problem("invalid_request", detail, errors=[FieldError("", "invalid_type", "Must be an object.")])
    notification, fault = _judge_form(data, plain=is_plain)
    try:
        canonical = ids.canonical(spelled_out(notification) if notification else data, plain=is_plain)
    except RecursionError as error:
        raise strict_json.too_deep() from error
    uid = ids.notification_id(submission.service_id, canonical)
    return Content(submission.service_id, submission.api_client_id, uid, canonical, notification, fault)


def _judge_form(data: dict[str, Any], *, plain: bool) -> tuple[NotificationIn | None, Problem | None]:
    try:
        notification = shapes.check(NotificationIn, data, plain=plain)
    except Problem as problem:
        return None, problem
    errors = schema.across(notification)
    return (None, shapes.invalid(errors)) if errors else (notification, None)


def spelled_out(notification: NotificationIn) -> dict[str, Any]:
    """Write a notification with every default spelled out and nothing that says nothing."""
    content: dict[str, Any] = {
        "channels": [_spelled_out_channel(channel) for channel in notification.channels],
        "priority": notification.priority,
    }
    if notification.aggregator_id is not None:
        content["aggregator_id"] = notification.aggregator_id
    return content


def _spelled_out_channel(channel: schema.ChannelIn) -> dict[str, Any]:
    content = {
        "type": channel.type,
        "recipient": list(dict.fromkeys(channel.recipient)),
        "content_type": channel.content_type,
        "template_id": channel.template_id,
        "fields": channel.fields,
    }
    if channel.subject is not None:
        content["subject"] = channel.subject
    return content
