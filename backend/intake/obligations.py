"""What an accepted notification owes: the steps of its policy, as notifications that are sent if it comes to that."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field
from sqlalchemy.orm import Session

from backend.accounts import sender_choice
from backend.channels.base import Channel
from backend.db.models.senders import SenderKind
from backend.intake import content as contents
from backend.intake.attachments import NOTHING
from backend.intake.content import Content, spelled_out_channel
from backend.intake.entries import Entry
from backend.intake.schema import Identifier, NotificationIn, SenderChoice, StepIn, Until
from backend.lib import durations, ids, strict_json
from backend.lib.problems import FieldError, Problem
from backend.lib.strict_json import LanguageTag, Shape
from backend.obligations.opening import NewObligation, NewStep
from backend.registry import lookup, policies
from backend.registry.policies import PolicyContent, PolicyRecord

# What an accepted notification owes, as it is stored: its steps as notifications that are sent if it comes to that.


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
        begins=content.moment if content.is_scheduled(now) else None,
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


# Policies in place of channels: read when a notification that names one is accepted, and as they are then.


class PolicyChannel(Shape):
    """To whom a step goes, and how; what it leaves out, the notification says."""

    type: Annotated[Channel, Field(strict=False, description="The channel's type.")]
    recipient: Annotated[list[Identifier], Field(min_length=1, max_length=100)]
    template_id: Identifier | None = None
    subject: Annotated[str | None, Field(min_length=1, max_length=500)] = None
    content_type: Literal["text", "html"] | None = None
    language: LanguageTag | None = None
    sender: Annotated[SenderChoice | None, Field(description="For EMAIL: a verified sender, by id or address.")] = None
    reply_to: Annotated[SenderChoice | None, Field(description="For EMAIL: where answers go, by id or address.")] = None


class PolicyStep(Shape):
    """What is done if the goal is not reached after some time; the first step is taken at once."""

    after: Annotated[str, Field(pattern=durations.DELAY_PATTERN, description="`0s` for at once, `30m`, `4h`, `2d`.")]
    channels: Annotated[list[PolicyChannel], Field(default_factory=list, max_length=20)]


class PolicyShape(Shape):
    """A policy: steps with their times, and until when they are taken."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    until: Until = "acknowledged"
    steps: Annotated[list[PolicyStep], Field(min_length=1, max_length=20)]
    at_last: Literal["worklist"] = "worklist"


def check(session: Session, service_id: int, shape: PolicyShape) -> PolicyContent:
    """Return what a policy says, if it makes sense, and each recipient has an endpoint for its channel.

    Raises:
        Problem: with every fault.
    """
    steps = [step.model_dump(mode="json", exclude_none=True) for step in shape.steps]
    said = PolicyContent(name=shape.name, until=shape.until, at_last=shape.at_last, steps=steps)
    plain = _expanded(said, {"priority": "NORMAL"}, {"template_id": "ANY"})
    errors = [
        FieldError(one.pointer.removeprefix("/obligation"), one.code, one.detail) for one in contents.faults(plain)
    ]
    errors += _recipient_faults(session, service_id, shape)
    errors += _sender_faults(session, service_id, shape)
    if errors:
        code = "invalid_request" if len({one.code for one in errors}) > 1 else errors[0].code
        raise Problem(code, f"The policy was not stored: {errors[0].detail}", errors=errors[: strict_json.MAX_ERRORS])
    return said


def _sender_faults(session: Session, service_id: int, shape: PolicyShape) -> Iterator[FieldError]:
    senders = sender_choice.of_service(session, service_id)
    for number, step in enumerate(shape.steps):
        for index, channel in enumerate(step.channels):
            for kind, name in ((SenderKind.FROM, "sender"), (SenderKind.REPLY_TO, "reply_to")):
                chosen, pointer = getattr(channel, name), f"/steps/{number}/channels/{index}/{name}"
                if chosen is not None and channel.type is not Channel.EMAIL:
                    yield FieldError(pointer, "invalid_value", f"Only EMAIL has a {name!r}.")
                elif chosen is not None and (reason := senders.why_not(kind, chosen)) is not None:
                    yield FieldError(pointer, "unknown_sender", reason)


def _recipient_faults(session: Session, service_id: int, shape: PolicyShape) -> Iterator[FieldError]:
    names = {name for step in shape.steps for channel in step.channels for name in channel.recipient}
    found = lookup.ask_recipients(session, service_id, names, 100_000)().addresses
    for number, step in enumerate(shape.steps):
        for index, channel in enumerate(step.channels):
            for position, name in enumerate(channel.recipient):
                pointer = f"/steps/{number}/channels/{index}/recipient/{position}"
                if name not in found:
                    detail = f"No recipient {name!r} is registered for this service."
                    yield FieldError(pointer, "unknown_recipient", detail)
                elif not any(one.type == channel.type for one in found[name]):
                    detail = f"The recipient {name} has no {channel.type.value} endpoint."
                    yield FieldError(pointer, "no_address_for_channel", detail)


def follow(session: Session, entries: Sequence[Entry]) -> None:
    """Let each notification that names a policy say what that policy says now."""
    waiting = [(entry, policy_id) for entry in entries if (policy_id := _unread(entry.read())) is not None]
    if not waiting:
        return
    wanted = {(entry.read().service_id, policy_id) for entry, policy_id in waiting}
    found = policies.named(session, wanted)
    for entry, policy_id in waiting:
        one = entry.read()
        entry.content = followed(one, found.get((one.service_id, policy_id)))


def of_one(session: Session, one: Content) -> Content:
    """Return a notification that says what the policy that it names says now."""
    policy_id = _unread(one)
    if policy_id is None:
        return one
    return followed(one, policies.named(session, {(one.service_id, policy_id)}).get((one.service_id, policy_id)))


def _unread(one: Content) -> str | None:
    """Return the policy that a notification names and that has not been read for it."""
    notification = one.notification
    return notification.policy_id if notification is not None and not notification.channels else None


def followed(one: Content, policy: PolicyRecord | None) -> Content:
    """Return a notification as a policy has it; without one it is at fault."""
    notification = one.notification
    assert notification is not None  # noqa: S101 - what names a policy is a notification
    if policy is None:
        detail = f"No policy {notification.policy_id!r} is registered for this service."
        return _at_fault(
            one, Problem("unknown_policy", detail, errors=[FieldError("/policy_id", "unknown_policy", detail)])
        )
    own = ("priority", "aggregator_id", "matter", "send_at")
    given = {name: value for name in own if (value := getattr(notification, name)) is not None}
    defaults = {"template_id": notification.template_id, "subject": notification.subject, "fields": notification.fields}
    try:
        expanded = contents.joined(_expanded(policy, given, {name: value for name, value in defaults.items() if value}))
    except Problem:
        detail = "A channel of the policy names no template, so the notification must: give the member 'template_id'."
        fault = FieldError("/template_id", "missing_member", detail)
        return _at_fault(one, Problem("missing_member", detail, errors=[fault]))
    said = {name: getattr(notification, name) for name in ("policy_id", "template_id", "subject", "fields")}
    whole = expanded.model_copy(update=said)
    canonical = ids.canonical(contents.spelled_out(whole, NOTHING))
    pointers = ("/policy_id",) * len(whole.every_channel)
    return msgspec.structs.replace(one, notification=whole, canonical=canonical, pointers=pointers)


def _at_fault(one: Content, problem: Problem) -> Content:
    return msgspec.structs.replace(one, notification=None, fault=problem)


def _expanded(policy: PolicyContent, given: dict[str, Any], defaults: dict[str, Any]) -> NotificationIn:
    steps = [
        {"after": step["after"], "channels": [defaults | channel for channel in step.get("channels", ())]}
        for step in policy.steps
    ]
    owes = {"until": policy.until, "at_last": policy.at_last, "steps": steps}
    return strict_json.check(NotificationIn, {**given, "obligation": owes})
