"""What a submission says: parsed, checked, and brought into the one form that its identity is made from."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from backend.accounts.reach import Manner
from backend.channels.attachments import AttachedFile, LinkedFile
from backend.delivery.content import acknowledging, file_links
from backend.intake import attachments, owed, schema
from backend.intake.attachments import NOTHING, Attached
from backend.intake.schema import NotificationIn, ObligationIn
from backend.lib import clock, durations, ids, plain_json, shapes, strict_json
from backend.lib.problems import FieldError, Problem
from backend.obligations import links


class Step(msgspec.Struct, frozen=True):
    """That a notification is a step of an obligation: of which notification's, by its id, and until when."""

    owed_by: str
    until: str


class Submission(msgspec.Struct, frozen=True):
    """One request body as it came, and who sent it.

    ``key`` is the client's own idempotency key; others that came with this one have it too if it ``shares_key``.
    ``refusal`` says why it is not taken whatever it says, and ``uid`` is the identity of one that was not read, or is
    known. ``step`` is there for what Carillon itself sends as a step of an obligation, ``manner`` is how its client's
    messages are sent.
    """

    service_id: int
    api_client_id: int | None
    raw: bytes
    key: str | None = None
    refusal: Problem | None = None
    uid: UUID | None = None
    shares_key: bool = False
    step: Step | None = None
    manner: Manner = Manner()


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
    files, of which ``canonical`` tells their digests. ``manner`` is as that of the submission.
    ``throttled`` is why it joins a digest, though it did not ask for one.
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
    step: Step | None = None
    manner: Manner = Manner()
    throttled: str | None = None

    def fields(self, index: int) -> dict[str, Any]:
        """Return the fields of a channel as its template sees them, with examples of the links in it."""
        assert self.notification is not None  # noqa: S101 - what has channels is a notification
        fields: dict[str, Any] = self.notification.every_channel[index].fields
        linked = self.attached.linked.get(index)
        fields = file_links.seen(fields, file_links.examples(linked)) if linked else fields
        return acknowledging.seen(fields, links.example()) if self.until else fields

    @property
    def until(self) -> str | None:
        """Return the goal of the obligation that it owes, or is a step of."""
        if self.step is not None:
            return self.step.until
        owes = self.notification.obligation if self.notification else None
        return owes.until if owes else None


def read(submission: Submission) -> Content:
    """Read a submission.

    Raises:
        Problem: when it is no JSON object, so that it has no identity at all.
    """
    data, is_plain = plain_json.read(submission.raw)
    if not isinstance(data, dict):
        detail = "The body must be one JSON object with the member 'channels'."
        raise Problem("invalid_request", detail, errors=[FieldError("", "invalid_type", "Must be an object.")])
    notification, attached, fault = _validate_form(data, plain=is_plain)
    try:
        said = spelled_out(notification, attached) if notification else data
        if submission.step is not None:
            said["step"] = msgspec.to_builtins(submission.step)
        canonical = ids.canonical(said, plain=is_plain)
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
        step=submission.step,
        manner=submission.manner,
    )


def unreadable(submission: Submission, fault: Problem) -> Content:
    """Describe what ``read`` cannot read: it has an identity by which to be read back as refused, and no content."""
    apart = submission.manner.apart
    uid = submission.uid or ids.unreadable_notification_id(submission.service_id, submission.raw, apart)
    service_id, client = submission.service_id, submission.api_client_id
    return Content(service_id, client, uid, b"", None, fault, refusal=submission.refusal, manner=submission.manner)


def _identity(submission: Submission, canonical: bytes) -> UUID:
    if submission.uid is not None:
        return submission.uid
    apart = submission.manner.apart
    if submission.key is not None:
        if submission.shares_key:
            return ids.notification_id_beside_others(submission.service_id, submission.key, canonical, apart)
        return ids.keyed_notification_id(submission.service_id, submission.key, apart)
    return ids.notification_id(submission.service_id, canonical, apart)


def _validate_form(data: dict[str, Any], *, plain: bool) -> tuple[NotificationIn | None, Attached, Problem | None]:
    try:
        notification = shapes.check(NotificationIn, data, plain=plain)
        if errors := [*schema.across(notification), *owed.faults(notification)]:
            raise shapes.invalid(errors)
        notification = owed.joined(notification)
        return notification, attachments.read(notification), None
    except Problem as problem:
        return None, NOTHING, _with_what_is_missing(data, problem)


def _with_what_is_missing(data: dict[str, Any], problem: Problem) -> Problem:
    """Say beside other faults that there is nothing to send: no single member shows it."""
    said = any(error.pointer == "/channels" for error in problem.errors)
    if said or data.keys() & schema.WHAT_IS_SENT or problem.code != "invalid_request":
        return problem
    return shapes.invalid([*problem.errors, schema.NOTHING_SENT])


def spelled_out(notification: NotificationIn, attached: Attached) -> dict[str, Any]:
    """Write a notification with every default spelled out and nothing that says nothing."""
    content: dict[str, Any] = {"priority": notification.priority}
    if notification.policy_id is not None:
        content |= _policy(notification)
    if notification.channels:
        content["channels"] = [
            spelled_out_channel(channel, attached.channels.get(index), attached.linked.get(index))
            for index, channel in enumerate(notification.channels)
        ]
    if notification.aggregator_id is not None:
        content["aggregator_id"] = notification.aggregator_id
    if notification.matter is not None:
        content["matter"] = notification.matter
    if notification.obligation is not None:
        content["obligation"] = _spelled_out_obligation(notification.obligation)
    if notification.moment is not None:
        content["send_at"] = clock.iso(notification.moment)
    return content


def _policy(notification: NotificationIn) -> dict[str, Any]:
    """Write what is said of a policy: it is what makes the identity, whatever the policy is by then."""
    given = {"template_id": notification.template_id, "subject": notification.subject}
    named = {name: value for name, value in given.items() if value is not None}
    return {"policy_id": notification.policy_id, "fields": notification.fields or {}, **named}


def _spelled_out_obligation(owes: ObligationIn) -> dict[str, Any]:
    steps = [
        {
            "after": durations.write(durations.delay(step.after)),
            "channels": [spelled_out_channel(one) for one in step.channels],
        }
        for step in owes.steps
    ]
    return {"until": owes.until, "at_last": owes.at_last, "steps": steps}


def spelled_out_channel(
    channel: schema.ChannelIn, files: list[AttachedFile] | None = None, linked: list[LinkedFile] | None = None
) -> dict[str, Any]:
    """Write a channel with every default, and its files by their digests."""
    content: dict[str, Any] = {
        "type": channel.type,
        "recipient": list(dict.fromkeys(channel.recipient)),
        "content_type": channel.content_type,
        "template_id": channel.template_id,
        "fields": channel.fields,
    }
    for name in ("subject", "sender", "reply_to", "language"):
        if (given := getattr(channel, name)) is not None:
            content[name] = given
    if files:
        content["attachments"] = [msgspec.structs.asdict(one) for one in files]
    if linked:
        # By a name of its own: what knows nothing of links must not take these for files that the message carries.
        content["linked_files"] = [msgspec.structs.asdict(one) for one in linked]
    return content
