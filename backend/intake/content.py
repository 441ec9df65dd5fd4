"""What a submission says: parsed, checked, and brought into the one form that its identity is made from."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import force_setattr

from backend.accounts.reach import Manner
from backend.channels.attachments import AttachedFile, LinkedFile
from backend.db.models.notifications import Priority
from backend.delivery.content import acknowledging, file_links
from backend.intake import attachments, schema
from backend.intake.attachments import NOTHING, Attached
from backend.intake.schema import MAX_CHANNELS, STEPS, ChannelIn, NotificationIn, ObligationIn, StepIn
from backend.lib import clock, durations, ids, plain_json, strict_json
from backend.lib.problems import FieldError, Problem
from backend.obligations import links

# The links in messages work while those are kept, and a step is to be part of the same story.
_LONGEST = timedelta(days=30)
_LONGEST_END = 2 * _LONGEST
_WHEN_ALONE = timedelta(hours=1)
_PRIORITY = {"HIGH": Priority.HIGH, "NORMAL": Priority.NORMAL, "BATCH": Priority.BATCH}
# Members of a channel that are said of it only where they are given.
_MAY_BE_LEFT_OUT = frozenset({"subject", "sender", "reply_to", "language"})


# The form of an obligation: steps in order, of which those that are taken at once join the notification's channels.
#
# So ``channels`` and a step after ``0s`` are two spellings of the same, with the same identity.


def joined(notification: NotificationIn) -> NotificationIn:
    """Return a notification whose steps are those to come alone, the last of them the worklist's turn."""
    owed = notification.obligation
    if owed is None:
        return notification
    at_once = [step for step in owed.steps if not durations.delay(step.after)]
    channels = notification.channels + [channel for step in at_once for channel in step.channels]
    steps = [step for step in owed.steps if durations.delay(step.after) and step.channels]
    end = StepIn(after=durations.write(_end_after(owed)), channels=[])
    changed = owed.model_copy(update={"steps": [*steps, end]})
    return notification.model_copy(update={"channels": channels, "obligation": changed})


def faults(notification: NotificationIn) -> Iterator[FieldError]:
    """Find what is wrong with the obligation of a notification as it came, beyond what single members show."""
    owed = notification.obligation
    if owed is None:
        return
    if notification.priority == "BATCH":
        detail = "What waits in a batch has no moment from which steps could count: send it NORMAL or HIGH."
        yield FieldError("/obligation", "invalid_value", detail)
    at_once = len(notification.channels)
    before = timedelta(0)
    for number, step in enumerate(owed.steps):
        span = durations.delay(step.after)
        at_once += 0 if span else len(step.channels)
        yield from _step_faults(f"{STEPS}/{number}", step, before, last=number == len(owed.steps) - 1)
        before = span
    if at_once == 0:
        detail = "Something must be sent at once: give the member 'channels', or a first step with the 'after' of 0s."
        yield FieldError(f"{STEPS}/0/after", "invalid_value", detail)
    if at_once > MAX_CHANNELS:
        yield FieldError("/channels", "invalid_value", f"At most {MAX_CHANNELS} channels can be sent at once.")


def _step_faults(pointer: str, step: StepIn, before: timedelta, *, last: bool) -> Iterator[FieldError]:
    span = durations.delay(step.after)
    longest = _LONGEST if step.channels else _LONGEST_END
    if span > longest:
        yield FieldError(f"{pointer}/after", "invalid_value", f"This may be at most {longest.days} days.")
    if span < before or (span and span == before):
        detail = "Each step must be later than the one before it."
        yield FieldError(f"{pointer}/after", "invalid_value", detail)
    if not step.channels and not (last and span):
        detail = "The member 'channels' must hold at least one channel; only the last step may go without."
        yield FieldError(f"{pointer}/channels", "missing_member", detail)
    for index, channel in enumerate(step.channels):
        if span and channel.attachments:
            detail = "Only what is sent at once carries files; give those of later steps a link."
            yield FieldError(f"{pointer}/channels/{index}/attachments", "invalid_attachment", detail)


def _end_after(owed: ObligationIn) -> timedelta:
    """Return after how long the worklist's turn is: where no last step says so, as long again as before the last one.

    An obligation without a step to come goes to the worklist after an hour.
    """
    last = owed.steps[-1]
    times = [timedelta(0), *(durations.delay(step.after) for step in owed.steps)]
    if not last.channels:
        return times[-1]
    return times[-1] + (times[-1] - times[-2]) if times[-1] else _WHEN_ALONE


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


class Direct(msgspec.Struct, frozen=True):
    """An address itself, for which a notification's one recipient stands; ``sender`` need be none that is known."""

    address: str
    sender: str | None = None


class Content(msgspec.Struct, frozen=True):
    """What a submission says, with its identity; ``fault`` says why it is no notification, if it is none.

    ``canonical`` is empty for what is no JSON object; ``keyed`` tells that the identity is not made of the content.
    ``refusal`` says why it is not taken, whatever it says. ``content_uid`` is the identity that the content gives, if
    that is what gives it one; ``occurrence`` comes with templates that say when it is new again. ``attached`` are its
    files, of which ``canonical`` tells their digests. ``manner`` is as that of the submission.
    ``throttled`` is why it joins a digest, though it did not ask for one. ``direct`` is there if it is for no
    recipient that is registered. ``pointers`` are those of ``every_channel`` in the request. What is asked of its
    notification again and again is read once: ``priority``, ``moment`` (as that of the notification) and
    ``every_channel``.
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
    throttled: FieldError | None = None
    direct: Direct | None = None
    pointers: tuple[str, ...] = ()
    priority: Priority = Priority.NORMAL
    moment: datetime | None = None
    every_channel: Sequence[ChannelIn] = ()

    def __post_init__(self) -> None:
        """Read the notification, also where it replaces another."""
        said = self.notification
        force_setattr(self, "priority", _PRIORITY[said.priority] if said else Priority.NORMAL)
        force_setattr(self, "moment", said.moment if said else None)
        force_setattr(self, "every_channel", said.every_channel if said else ())

    def is_scheduled(self, now: datetime) -> bool:
        """Tell whether it waits for a moment that is still to come."""
        return self.moment is not None and self.moment > now

    def fields(self, index: int) -> dict[str, Any]:
        """Return the fields of a channel as its template sees them, with examples of the links in it."""
        fields: dict[str, Any] = self.every_channel[index].fields
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
    notification, pointers, attached, fault = _validate_form(data, plain=is_plain)
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
        pointers=pointers,
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


def _validate_form(
    data: dict[str, Any], *, plain: bool
) -> tuple[NotificationIn | None, tuple[str, ...], Attached, Problem | None]:
    try:
        notification = strict_json.check(NotificationIn, data, plain=plain)
        if errors := [*schema.across(notification), *faults(notification)]:
            raise strict_json.invalid(errors)
        pointers, notification = notification.pointers, joined(notification)
        return notification, pointers, attachments.read(notification.channels, pointers), None
    except Problem as problem:
        return None, (), NOTHING, _with_what_is_missing(data, problem)


def _with_what_is_missing(data: dict[str, Any], problem: Problem) -> Problem:
    """Say beside other faults that there is nothing to send: no single member shows it."""
    said = any(error.pointer == "/channels" for error in problem.errors)
    if said or data.keys() & schema.WHAT_IS_SENT or problem.code != "invalid_request":
        return problem
    return strict_json.invalid([*problem.errors, schema.NOTHING_SENT])


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
    for name in _MAY_BE_LEFT_OUT & channel.model_fields_set:
        if (given := getattr(channel, name)) is not None:
            content[name] = given
    if files:
        content["attachments"] = [msgspec.structs.asdict(one) for one in files]
    if linked:
        # By a name of its own: what knows nothing of links must not take these for files that the message carries.
        content["linked_files"] = [msgspec.structs.asdict(one) for one in linked]
    return content
