"""What a submission says: parsed, checked, and brought into the one form that its identity is made from."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from backend.channels.attachments import AttachedFile
from backend.intake import attachments, schema
from backend.intake.attachments import NOTHING, Attached
from backend.intake.schema import NotificationIn
from backend.lib import ids, shapes, strict_json
from backend.lib.problems import FieldError, Problem


class Submission(msgspec.Struct, frozen=True):
    """One request body as it came, and who sent it.

    ``key`` is the client's own idempotency key; others that came with this one have it too if it ``shares_key``.
    ``refusal`` says why it is not taken whatever it says, and ``uid`` is the identity of one that was not read, or is
    known.
    """

    service_id: int
    api_client_id: int | None
    raw: bytes
    key: str | None = None
    refusal: Problem | None = None
    uid: UUID | None = None
    shares_key: bool = False


class Occurrence(msgspec.Struct, frozen=True):
    """Which notification a content is, that is new again after some time; ``number`` of them came before.

    ``again_at`` is when it is new again; None for one that has not been accepted yet.
    """

    uid: UUID
    number: int
    again_at: datetime | None


class Content(msgspec.Struct, frozen=True):
    """What a submission says, with its identity; ``fault`` says why it is no notification, if it is none.

    ``canonical`` is empty for what is no JSON object; ``keyed`` tells that the identity is not made of the content.
    ``refusal`` says why it is not taken, whatever it says. ``content_uid`` is the identity that the content gives, if
    that is what gives it one; ``occurrence`` comes with templates that say when it is new again. ``attached`` are its
    files, of which ``canonical`` tells their digests.
    """

    service_id: int
    api_client_id: int | None
    uid: UUID
    canonical: bytes
    notification: NotificationIn | None
    fault: Problem | None
    keyed: bool = False
    refusal: Problem | None = None
    content_uid: UUID | None = None
    attached: Attached = NOTHING
    occurrence: Occurrence | None = None


def read(submission: Submission) -> Content:
    """Read a submission.

    Raises:
        Problem: when it is no JSON object, so that it has no identity at all.
    """
    data, is_plain = strict_json.read(submission.raw)
    if not isinstance(data, dict):
        detail = "The body must be one JSON object with the member 'channels'."
        raise Problem("invalid_request", detail, errors=[FieldError("", "invalid_type", "Must be an object.")])
    notification, attached, fault = _judge_form(data, plain=is_plain)
    try:
        canonical = ids.canonical(_spelled_out(notification, attached) if notification else data, plain=is_plain)
    except RecursionError as error:
        raise strict_json.too_deep() from error
    uid = _identity(submission, canonical)
    return Content(
        submission.service_id,
        submission.api_client_id,
        uid,
        canonical,
        notification,
        fault,
        submission.key is not None,
        submission.refusal,
        uid if submission.uid is None and submission.key is None else None,
        attached,
    )


def unreadable(submission: Submission, fault: Problem) -> Content:
    """Describe what ``read`` cannot read: it has an identity by which to be read back as refused, and no content."""
    uid = submission.uid or ids.unreadable_notification_id(submission.service_id, submission.raw)
    service_id, client = submission.service_id, submission.api_client_id
    return Content(service_id, client, uid, b"", None, fault, refusal=submission.refusal)


def _identity(submission: Submission, canonical: bytes) -> UUID:
    if submission.uid is not None:
        return submission.uid
    if submission.key is not None:
        if submission.shares_key:
            return ids.notification_id_beside_others(submission.service_id, submission.key, canonical)
        return ids.keyed_notification_id(submission.service_id, submission.key)
    return ids.notification_id(submission.service_id, canonical)


def _judge_form(data: dict[str, Any], *, plain: bool) -> tuple[NotificationIn | None, Attached, Problem | None]:
    try:
        notification = shapes.check(NotificationIn, data, plain=plain)
        if errors := schema.across(notification):
            raise shapes.invalid(errors)
        return notification, attachments.read(notification), None
    except Problem as problem:
        return None, NOTHING, problem


def _spelled_out(notification: NotificationIn, attached: Attached) -> dict[str, Any]:
    """Write a notification with every default spelled out and nothing that says nothing."""
    content: dict[str, Any] = {
        "channels": [
            _spelled_out_channel(channel, attached.channels.get(index))
            for index, channel in enumerate(notification.channels)
        ],
        "priority": notification.priority,
    }
    if notification.aggregator_id is not None:
        content["aggregator_id"] = notification.aggregator_id
    return content


def _spelled_out_channel(channel: schema.ChannelIn, files: list[AttachedFile] | None) -> dict[str, Any]:
    content: dict[str, Any] = {
        "type": channel.type,
        "recipient": list(dict.fromkeys(channel.recipient)),
        "content_type": channel.content_type,
        "template_id": channel.template_id,
        "fields": channel.fields,
    }
    if channel.subject is not None:
        content["subject"] = channel.subject
    if files:
        content["attachments"] = [msgspec.structs.asdict(one) for one in files]
    return content
