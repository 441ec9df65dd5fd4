"""Validating a notification as a whole: every recipient, address, template, subject and rendering, or none of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from backend.accounts.reach import Reach
from backend.accounts.sender_choice import Senders
from backend.channels.base import Channel
from backend.channels.records import NEED_SUBJECT
from backend.db.models.accounts import Mode
from backend.db.models.notifications import OTHER_LANGUAGE, Priority
from backend.db.models.senders import SenderKind
from backend.delivery.sending.compose import render_job
from backend.intake import modes
from backend.intake.content import Content
from backend.intake.schema import ChannelIn
from backend.lib import pointers, settings
from backend.lib.problems import FieldError, Problem
from backend.lib.strict_json import MAX_ERRORS
from backend.registry.languages import Choice, choose
from backend.registry.lookup import Address, FoundTemplate
from backend.registry.sending import Wait
from backend.rendering.faults import OF_TEMPLATE
from backend.rendering.model import LANGUAGE, Rendered, RenderJob

# Where a fault stands in a request that names a policy, unless it is the policy's own.
_OF_POLICY = {"template_arguments": "/fields", "missing_subject": "/subject", "unknown_template": "/template_id"}
# Is given the place of the channel among those of its notification too.
Render = Callable[[int, RenderJob], Rendered]


class ServiceState(msgspec.Struct, frozen=True):
    """What intake asks of a service; ``daily_limit`` counts messages a day. One that is not live is on trial.

    Then it reaches its team alone, and so do its API clients if it ``holds_clients``.

    ``language`` is that of its messages where nobody asks for another.
    ``rules`` is the version of its windows and mutes, 0 where there were never any.
    """

    active: bool
    daily_limit: int
    live: bool = True
    holds_clients: bool = False
    language: str = LANGUAGE
    rules: int = 0


class Registered(msgspec.Struct, frozen=True):
    """What is registered of all that a group of notifications of one service names.

    ``whole`` tells that it is all of it: not where that are more endpoints than any one of them could go to.
    ``languages`` are of those recipients that have one.
    ``senders`` are read where a channel chooses one.
    """

    recipients: Mapping[str, Sequence[Address]]
    templates: Mapping[str, FoundTemplate]
    whole: bool = True
    languages: Mapping[str, str] = {}
    senders: Senders = Senders()


class Target(msgspec.Struct, frozen=True):
    """One address of a channel, with every recipient group that has it; ``choice`` is the text that goes there."""

    address: str
    recipients: list[str]
    choice: Choice


class Spoken(msgspec.Struct, frozen=True):
    """A variant that goes to somebody, as it would look."""

    template: FoundTemplate
    rendered: Rendered
    subject: str | None


class PlannedChannel(msgspec.Struct, frozen=True):
    """One channel that can be carried out.

    ``rendered`` and ``subject`` are of the first of the variants that go to anybody, ``others`` are the rest of these.
    ``choices`` says of each recipient which it gets, ``template`` is the published version with all of them;
    ``missed`` are the recipients that get another language than the one asked for, in their order.
    """

    channel: ChannelIn
    template: FoundTemplate
    targets: list[Target]
    rendered: Rendered
    subject: str | None
    choices: Mapping[str, Choice]
    others: tuple[Spoken, ...] = ()
    missed: Sequence[tuple[str, Choice]] = ()

    @property
    def first(self) -> FoundTemplate:
        """Return the variant that ``rendered`` is of."""
        return next(iter(self.choices.values())).template


class Plan(msgspec.Struct, frozen=True):
    """A notification that can be carried out as a whole; ``later`` is what the steps of its obligation would send.

    ``waits`` is why messages may not leave at once, by channel and address.
    """

    channels: list[PlannedChannel]
    later: list[PlannedChannel] = []
    waits: Mapping[tuple[int, str], Wait] = {}

    @property
    def wait(self) -> Wait | None:
        """Return the wait that ends first, where all of its messages have to wait."""
        if not self.waits or len(self.waits) < sum(len(one.targets) for one in self.channels):
            return None
        return min(self.waits.values(), key=lambda wait: wait.until)


def validate(  # noqa: PLR0913 - what it validates by
    content: Content,
    service: ServiceState,
    registered: Registered,
    *,
    render: Render,
    reach: Callable[[], Reach],
    whole: bool = False,
    texts: bool = False,
) -> Plan | Problem:
    """Return the plan for a well-formed notification, or every reason why there is none.

    Each channel is rendered (by ``render``) to see that it can be; ``whole`` asks for the message itself, where else
    its subject is enough; ``texts`` asks for the texts of text messages. ``reach`` is asked for what is held to the
    team of its service.
    """
    if content.fault is not None:
        return content.fault
    if not service.active:
        return Problem("service_disabled", "The service of this API client has been switched off.")
    notification = content.notification
    assert notification is not None  # noqa: S101 - content without a fault has a notification
    if not registered.whole or endpoints(content, registered) > settings.current().max_messages:
        refused = _too_many(content, registered)
        if refused is not None:
            return refused
    errors = list(_goes_at_once(content))
    planned: list[PlannedChannel] = []
    for index, channel in enumerate(content.every_channel):
        pointer = content.pointers[index]
        renderer = _renderer(index, content, render, whole=whole, texts=texts)
        try:
            outcome = _plan_channel(pointer, channel, registered, renderer, service.language)
        except Problem as problem:  # nobody could be asked to render it just now
            return problem
        if isinstance(outcome, PlannedChannel):
            planned.append(outcome)
            if content.manner.mode is Mode.TEAM:
                targets = [(one.address, one.recipients) for one in outcome.targets]
                errors += modes.beyond(pointer, channel, targets, reach(), content.manner.redirect)
        else:
            errors += outcome
    if notification.policy_id is not None:
        errors = _placed(errors)
    at_once = len(notification.channels)
    return _refusal(errors) if errors else Plan(planned[:at_once], planned[at_once:])


def missed(plan: Plan, content: Content) -> tuple[FieldError, ...]:
    """Warn of recipients that get another language than the one asked for."""
    return tuple(
        FieldError(_of_recipient(content.pointers[index], planned.channel, name), OTHER_LANGUAGE, one.sentence(name))
        for index, planned in enumerate((*plan.channels, *plan.later))
        for name, one in planned.missed
    )


def _of_recipient(pointer: str, channel: ChannelIn, name: str) -> str:
    return f"{pointer}/{channel.recipient_member}/{channel.recipient.index(name)}"


def _placed(errors: list[FieldError]) -> list[FieldError]:
    """Point, once each, at the members of the request to which faults of what a policy says belong."""
    placed = {(_OF_POLICY.get(one.code, "/policy_id"), one.code, one.detail): None for one in errors}
    return [FieldError(*one) for one in placed]


def endpoints(content: Content, registered: Registered) -> int:
    """Count the endpoints of all recipients of each channel: at least as many as there would be messages."""
    found, count = registered.recipients, 0
    for channel in content.every_channel:
        for name in set(channel.recipient):
            count += len(found.get(name, ()))
    return count


def _goes_at_once(content: Content) -> Iterator[FieldError]:
    """Say that what is kept from others goes at once: the addresses of what waits are found when it is due."""
    kept = content.manner.redirect is not None or content.manner.mode is Mode.TEAM
    if kept and content.moment is not None:
        detail = (
            "The messages of this API client are redirected or held to the team, and those go at once: leave 'send_at'"
            " out."
        )
        yield FieldError("/send_at", "invalid_value", detail)


def _too_many(content: Content, registered: Registered) -> Problem | None:
    """Say why a notification is refused that would become too many messages, one for each recipient's address."""
    most = settings.current().max_messages
    messages = sum(
        sum(address.type == channel.type for address in registered.recipients.get(name, ()))
        for channel in content.every_channel
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
    index: int, content: Content, render: Render, *, whole: bool, texts: bool
) -> Callable[[FoundTemplate], Rendered]:
    channel, own, batch = content.every_channel[index], content.fields(index), content.priority is Priority.BATCH
    # A BATCH template sees a list; it is tried here with a list of this one notification.
    fields: object = [own] if batch else own
    as_html = channel.content_type == "html"

    def renderer(template: FoundTemplate) -> Rendered:
        subject, want_html = channel.subject, whole and as_html
        want_text = whole or (texts and channel.type == Channel.SMS)
        job = render_job(template, fields, batch=batch, subject=subject, want_html=want_html, want_text=want_text)
        return render(index, job)

    return renderer


def _plan_channel(
    pointer: str,
    channel: ChannelIn,
    registered: Registered,
    render: Callable[[FoundTemplate], Rendered],
    default: str,
) -> PlannedChannel | list[FieldError]:
    errors = [*_recipient_faults(pointer, channel, registered), *_sender_faults(pointer, channel, registered.senders)]
    template = registered.templates.get(channel.template_id)
    if template is None:
        detail = f"No template {channel.template_id!r} is registered for this service."
        return [*errors, FieldError(f"{pointer}/template_id", "unknown_template", detail)]
    choices = _choices(channel, template, registered, default)
    spoken: dict[int, Spoken] = {}
    for choice in choices.values():
        if choice.template.version_id in spoken:
            continue
        made = _spoken(pointer, channel, choice.template, render, alone=not template.variants)
        if isinstance(made, FieldError):
            errors.append(made)
            if made.code != "missing_subject":
                return errors
        else:
            spoken[choice.template.version_id] = made
    if errors:
        return errors
    first, *others = spoken.values()
    targets = _targets(channel, registered, choices)
    missed = [(name, one) for name, one in choices.items() if one.missing is not None]
    return PlannedChannel(channel, template, targets, first.rendered, first.subject, choices, tuple(others), missed)


def _spoken(
    pointer: str,
    channel: ChannelIn,
    template: FoundTemplate,
    render: Callable[[FoundTemplate], Rendered],
    *,
    alone: bool,
) -> Spoken | FieldError:
    """Render one variant; ``alone`` tells that it is the only text that the template has."""
    which = f"The template {channel.template_id}" + ("" if alone else f" in {template.language}")
    try:
        rendered = render(template)
    except Problem as problem:
        if problem.code not in OF_TEMPLATE:
            raise
        detail = f"{which} does not render with these fields. {problem.detail}"
        return FieldError(f"{pointer}/fields", "template_arguments", detail)
    subject = channel.subject or rendered.subject
    if channel.type in NEED_SUBJECT and not subject:
        whose = "its template" if alone else f"its template in {template.language}"
        detail = f"A subject is needed for {channel.type}: neither the channel nor {whose} has one."
        return FieldError(f"{pointer}/subject", "missing_subject", detail)
    return Spoken(template, rendered, subject)


def _choices(channel: ChannelIn, template: FoundTemplate, registered: Registered, default: str) -> dict[str, Choice]:
    """Choose the variant that each recipient gets, once for each, in order of first mention."""
    if not template.variants and channel.language is None and not registered.languages:
        return dict.fromkeys(channel.recipient, Choice(template))
    wished = registered.languages
    return {
        name: choose(template, (wished.get(name), channel.language), default)
        for name in dict.fromkeys(channel.recipient)
    }


def _recipient_faults(pointer: str, channel: ChannelIn, registered: Registered) -> Iterator[FieldError]:
    for position, identifier in enumerate(channel.recipient):
        addresses = registered.recipients.get(identifier)
        if addresses is None:
            code, detail = "unknown_recipient", f"No recipient {identifier!r} is registered for this service."
        elif channel.type not in [address.type for address in addresses]:
            code, detail = "no_address_for_channel", f"The recipient {identifier} has no {channel.type} endpoint."
        else:
            continue
        yield FieldError(f"{pointer}/{channel.recipient_member}/{position}", code, detail)


def _sender_faults(pointer: str, channel: ChannelIn, senders: Senders) -> Iterator[FieldError]:
    for kind, name, chosen in (
        (SenderKind.FROM, "sender", channel.sender),
        (SenderKind.REPLY_TO, "reply_to", channel.reply_to),
    ):
        if chosen is not None and (reason := senders.why_not(kind, chosen)) is not None:
            yield FieldError(f"{pointer}/{name}", "unknown_sender", reason)


def _targets(channel: ChannelIn, registered: Registered, choices: Mapping[str, Choice]) -> list[Target]:
    """List each address once, with the groups that share it, in order of first mention.

    It gets one message, in the language of the first of its groups that has one.
    """
    groups: dict[str, list[str]] = {}
    for identifier in dict.fromkeys(channel.recipient):
        for address in registered.recipients[identifier]:
            if address.type == channel.type:
                groups.setdefault(address.address, []).append(identifier)
    return [Target(address, names, choices[speaker(names, registered.languages)]) for address, names in groups.items()]


def speaker(names: Sequence[str], languages: Mapping[str, str]) -> str:
    """Return whose language an address is written to in: that of the first of its groups that has one."""
    return next((name for name in names if name in languages), names[0])


def _refusal(errors: list[FieldError]) -> Problem:
    codes = {error.code for error in errors}
    code = codes.pop() if len(codes) == 1 else "invalid_notification"
    more = "" if len(errors) == 1 else f" There are {len(errors)} faults in all."
    detail = f"Nothing was sent: {pointers.sentence(errors[0])}.{more}"
    return Problem(code, detail, errors=errors[:MAX_ERRORS])
