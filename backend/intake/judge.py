"""Judging a notification as a whole: every recipient, address, template, subject and rendering, or none of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from backend.channels.base import Channel
from backend.delivery.compose import render_job
from backend.intake.content import Content
from backend.intake.schema import ChannelIn, NotificationIn
from backend.lib import places, settings
from backend.lib.problems import FieldError, Problem
from backend.lib.shapes import MAX_ERRORS
from backend.registry.lookup import Address, FoundTemplate
from backend.rendering.faults import OF_TEMPLATE
from backend.rendering.model import Rendered, RenderJob

NEED_SUBJECT = {Channel.EMAIL, Channel.FRESHSERVICE, Channel.MSTEAMS}

# Is given the place of the channel among those of its notification too.
Render = Callable[[int, RenderJob], Rendered]


class ServiceState(msgspec.Struct, frozen=True):
    """What intake asks of a service; ``daily_limit`` counts messages a day."""

    active: bool
    daily_limit: int


class Registered(msgspec.Struct, frozen=True):
    """What is registered of all that a group of notifications of one service names.

    ``whole`` tells that it is all of it: not where that are more endpoints than any one of them could go to.
    """

    recipients: Mapping[str, Sequence[Address]]
    templates: Mapping[str, FoundTemplate]
    whole: bool = True


class Target(msgspec.Struct, frozen=True):
    """One address of a channel, with every recipient group that has it."""

    address: str
    recipients: list[str]


class PlannedChannel(msgspec.Struct, frozen=True):
    """One channel that can be carried out."""

    channel: ChannelIn
    template: FoundTemplate
    targets: list[Target]
    rendered: Rendered
    subject: str | None


class Plan(msgspec.Struct, frozen=True):
    """A notification that can be carried out as a whole."""

    channels: list[PlannedChannel]


def judge(
    content: Content,
    service: ServiceState,
    registered: Registered,
    *,
    render: Render,
    whole: bool = False,
) -> Plan | Problem:
    """Return the plan for a well-formed notification, or every reason why there is none.

    Each channel is rendered (by ``render``) to see that it can be; ``whole`` asks for the message itself, where else
    its subject is enough.
    """
    if content.fault is not None:
        return content.fault
    if not service.active:
        return Problem("service_disabled", "The service of this API client has been switched off.")
    notification = content.notification
    assert notification is not None  # noqa: S101 - content without a fault has a notification
    if not registered.whole or endpoints(notification, registered) > settings.current().max_messages:
        refused = _too_many(notification, registered)
        if refused is not None:
            return refused
    errors: list[FieldError] = []
    planned: list[PlannedChannel] = []
    for index, channel in enumerate(notification.channels):
        renderer = _renderer(index, channel, render, batch=notification.priority == "BATCH", whole=whole)
        try:
            outcome = _plan_channel(index, channel, registered, renderer)
        except Problem as problem:  # nobody could be asked to render it just now
            return problem
        if isinstance(outcome, PlannedChannel):
            planned.append(outcome)
        else:
            errors += outcome
    return _refusal(errors) if errors else Plan(planned)


def endpoints(notification: NotificationIn, registered: Registered) -> int:
    """Count the endpoints of all recipients of each channel: at least as many as there would be messages."""
    found = registered.recipients
    return sum(len(found.get(name, ())) for channel in notification.channels for name in set(channel.recipient))


def _too_many(notification: NotificationIn, registered: Registered) -> Problem | None:
    """Say why a notification is refused that would become too many messages, one for each recipient's address."""
    most = settings.current().max_messages
    messages = sum(
        sum(address.type == channel.type for address in registered.recipients.get(name, ()))
        for channel in notification.channels
        for name in set(channel.recipient)
    )
    if messages <= most and registered.whole:
        return None
    counted = f"{messages:,} messages" if registered.whole else f"more than {most:,} messages"
    detail = (
        f"The notification would become {counted}, one for each address of its recipients in each channel, and one"
        f" notification may become {most:,}. Split its recipients over several notifications."
    )
    return Problem("too_many_messages", detail)


def _renderer(
    index: int, channel: ChannelIn, render: Render, *, batch: bool, whole: bool
) -> Callable[[FoundTemplate], Rendered]:
    # A BATCH template sees a list; it is tried here with a list of this one notification.
    fields: object = [channel.fields] if batch else channel.fields
    as_html = channel.content_type == "html"

    def renderer(template: FoundTemplate) -> Rendered:
        wanted = {"want_html": whole and as_html, "want_text": whole}
        return render(index, render_job(template, fields, batch=batch, subject=channel.subject, **wanted))

    return renderer


def _plan_channel(
    index: int, channel: ChannelIn, registered: Registered, render: Callable[[FoundTemplate], Rendered]
) -> PlannedChannel | list[FieldError]:
    pointer = f"/channels/{index}"
    errors = list(_recipient_faults(pointer, channel, registered))
    template = registered.templates.get(channel.template_id)
    if template is None:
        detail = f"No template {channel.template_id!r} is registered for this service."
        return [*errors, FieldError(f"{pointer}/template_id", "unknown_template", detail)]
    try:
        rendered = render(template)
    except Problem as problem:
        if problem.code not in OF_TEMPLATE:
            raise
        detail = f"The template {channel.template_id} does not render with these fields. {problem.detail}"
        return [*errors, FieldError(f"{pointer}/fields", "template_arguments", detail)]
    subject = channel.subject or rendered.subject
    if channel.type in NEED_SUBJECT and not subject:
        detail = f"A subject is needed for {channel.type}: neither the channel nor its template has one."
        errors.append(FieldError(f"{pointer}/subject", "missing_subject", detail))
    if errors:
        return errors
    return PlannedChannel(channel, template, _targets(channel, registered), rendered, subject)


def _recipient_faults(pointer: str, channel: ChannelIn, registered: Registered) -> Iterator[FieldError]:
    for position, identifier in enumerate(channel.recipient):
        place = f"{pointer}/{channel.recipient_member}/{position}"
        addresses = registered.recipients.get(identifier)
        if addresses is None:
            detail = f"No recipient {identifier!r} is registered for this service."
            yield FieldError(place, "unknown_recipient", detail)
        elif not any(address.type == channel.type for address in addresses):
            yield FieldError(
                place, "no_address_for_channel", f"The recipient {identifier} has no {channel.type} endpoint."
            )


def _targets(channel: ChannelIn, registered: Registered) -> list[Target]:
    """List each address once, with the groups that share it, in order of first mention."""
    groups: dict[str, list[str]] = {}
    for identifier in dict.fromkeys(channel.recipient):
        for address in registered.recipients[identifier]:
            if address.type == channel.type:
                groups.setdefault(address.address, []).append(identifier)
    return [Target(address, identifiers) for address, identifiers in groups.items()]


def _refusal(errors: list[FieldError]) -> Problem:
    codes = {error.code for error in errors}
    code = codes.pop() if len(codes) == 1 else "invalid_notification"
    more = "" if len(errors) == 1 else f" There are {len(errors)} faults in all."
    detail = f"Nothing was sent: {places.sentence(errors[0])}.{more}"
    return Problem(code, detail, errors=errors[:MAX_ERRORS])
