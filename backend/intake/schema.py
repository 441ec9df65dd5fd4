"""The shape of a notification as client systems send it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    ConfigDict,
    Field,
    JsonValue,
    ModelWrapValidatorHandler,
    PrivateAttr,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from backend.channels.base import ChannelName
from backend.lib import clock, durations
from backend.lib.problems import FieldError
from backend.lib.strict_json import LanguageTag, Shape

Identifier = Annotated[str, Field(min_length=1, max_length=64)]
SenderChoice = Annotated[str, Field(min_length=3, max_length=254)]
MAX_BULK = 100
MAX_CHANNELS = 20
# One of these members says what is sent.
WHAT_IS_SENT = frozenset({"channels", "obligation", "policy_id"})
NOTHING_SENT = FieldError("/channels", "missing_member", "The member 'channels' is missing.")
MAX_AGGREGATOR = 1024
FURTHEST = timedelta(days=366)
# Where the steps of an obligation stand.
STEPS = "/obligation/steps"
_PRINTABLE = "Must be printable text, without control characters and line breaks."
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
# RFC 3339, section 5.6.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


class LinkIn(Shape):
    """How a file goes as a link: the message has its address, and the file is fetched from a page."""

    expires_after: Annotated[
        str | None,
        Field(
            min_length=2,
            max_length=20,
            description=(
                "For how long the link works from when the notification is accepted: a number of hours, days or weeks,"
                " such as `12h`, `7d` or `26 weeks` (the default). Then the file is deleted."
            ),
        ),
    ] = None
    confirm_address: Annotated[
        bool,
        Field(description="Whether the page asks for an address to which the message went, before it tells anything."),
    ] = True


class AttachmentIn(Shape):
    """A file that goes with the messages of a channel."""

    name: Annotated[str, Field(min_length=1, max_length=200, description="The file's name, without a path.")]
    type: Annotated[str, Field(min_length=3, max_length=255, description="Its media type, such as `application/pdf`.")]
    content: Annotated[
        str,
        Field(description="The file in base64; all of a notification have at most 10 MiB beside those with a `link`."),
    ]
    inline: Annotated[
        bool, Field(description="An image that the template's HTML shows as `cid:NAME`, not one for the list of files.")
    ] = False
    link: Annotated[
        LinkIn | None,
        Field(
            description=(
                "Makes it a link, for what is too large or too private to be in mailboxes; `{}` takes the defaults."
                " The template has the address as `{{ files['NAME'] }}`; what it does not link to is listed at the end."
            )
        ),
    ] = None


def _either(schema: dict[str, Any]) -> None:
    """Say in JSON Schema that ``recipients`` is another name of ``recipient``, and that one of them is needed.

    Without the ``allOf`` around it some generators of clients would make a choice of two empty objects of it.
    """
    recipient = schema["properties"]["recipient"]
    schema["properties"]["recipients"] = recipient | {"description": "Another name of `recipient`."}
    schema["required"].remove("recipient")
    schema["allOf"] = [{"oneOf": [{"required": ["recipient"]}, {"required": ["recipients"]}]}]


class ChannelIn(Shape):
    """One channel of a notification: what goes to whom, made from which template."""

    type: ChannelName
    recipient: Annotated[
        list[Identifier],
        Field(
            min_length=1,
            max_length=100,
            validation_alias=AliasChoices("recipient", "recipients"),
            description="Identifiers of recipient groups. It may be called `recipients` too; one of the two is needed.",
        ),
    ]
    subject: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=500,
            description="One line. Needed for EMAIL, FRESHSERVICE and MSTEAMS unless the template has a subject.",
        ),
    ] = None
    content_type: Annotated[
        Literal["text", "html"],
        Field(description="`text` sends the text rendering alone, `html` sends HTML with its text alternative."),
    ] = "html"
    template_id: Identifier
    sender: Annotated[
        SenderChoice | None,
        Field(
            description=(
                "For EMAIL: from whom it comes, a verified sender of the service by its id or address. Without it, the"
                " one that the template chooses, or else the service's default."
            )
        ),
    ] = None
    reply_to: Annotated[
        SenderChoice | None, Field(description="For EMAIL: where answers go, chosen as the `sender` is.")
    ] = None
    fields: Annotated[
        dict[str, JsonValue],
        Field(default_factory=dict, description="Arguments of the template."),
        WithJsonSchema({"type": "object", "additionalProperties": True}),
    ]
    language: Annotated[
        LanguageTag | None,
        Field(description="That of the variant for recipients who have no language; without it, the service's."),
    ] = None
    attachments: Annotated[
        list[AttachmentIn],
        Field(default_factory=list, max_length=50, description="Files for EMAIL and FRESHSERVICE."),
    ]

    model_config = ConfigDict(json_schema_extra=_either)

    _recipient_member: str = PrivateAttr("recipient")

    @property
    def recipient_member(self) -> str:
        """Return the name by which the request gave its recipients."""
        return self._recipient_member

    @model_validator(mode="wrap")
    @classmethod
    def _either_name(cls, data: Any, build: ModelWrapValidatorHandler[Self]) -> Self:
        """Take ``recipients`` for ``recipient``, but not both."""
        names = data.keys() & {"recipient", "recipients"} if isinstance(data, dict) else set()
        if len(names) == 2:
            raise PydanticCustomError("two_names", "Give either 'recipient' or 'recipients', not both.")
        channel = build(data)
        if "recipients" in names:
            channel._recipient_member = "recipients"  # noqa: SLF001 - its own class
        return channel


class StepIn(Shape):
    """What is done if the goal is not reached after some time."""

    after: Annotated[
        str,
        Field(
            pattern=durations.DELAY_PATTERN,
            description="How long after the notification was accepted: `0s` for at once, `30m`, `4h`, `2d`.",
        ),
    ]
    channels: Annotated[
        list[ChannelIn],
        Field(
            default_factory=list,
            max_length=MAX_CHANNELS,
            description="What is sent then. The last step may have none: then it says when the worklist's turn is.",
        ),
    ]


Until = Literal["delivered", "read", "acknowledged"]


class ObligationIn(Shape):
    """What a notification owes until somebody knows: steps, each taken only while the goal is not reached."""

    until: Annotated[
        Until,
        Field(
            description=(
                "`delivered`: a provider reports that a message of any step arrived. `acknowledged`: a person says"
                " so, through a link in a message, the API or the portal. `read` is asked for in the same way."
            )
        ),
    ]
    steps: Annotated[list[StepIn], Field(min_length=1, max_length=21, description="In the order of their times.")]
    at_last: Annotated[
        Literal["worklist"], Field(description="What follows on the last step, after as long again as before it.")
    ] = "worklist"


class NotificationIn(Shape):
    """A notification: one or more channels, a priority, and for BATCH what it is gathered by."""

    channels: Annotated[
        list[ChannelIn],
        Field(
            default_factory=list,
            max_length=MAX_CHANNELS,
            description="What is sent at once. Needed, unless an `obligation` has a step that is taken at once.",
        ),
    ]
    priority: Annotated[
        Literal["NORMAL", "HIGH", "BATCH"],
        Field(description="HIGH goes first; BATCH is held and sent together with others of its `aggregator_id`."),
    ] = "NORMAL"
    aggregator_id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_AGGREGATOR,
            description=(
                "Needed for BATCH: what belongs together. Printable text. Without a `matter` it is also what the"
                " messages are about, of every priority; other than BATCH it gathers nothing, which is warned of."
            ),
        ),
    ] = None
    matter: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_AGGREGATOR,
            description=(
                "What the messages are about, where that is not the `aggregator_id`: all of one matter are one"
                " conversation for each address (an e-mail thread, a Slack thread, a ticket). Printable text."
            ),
        ),
    ] = None
    obligation: ObligationIn | None = None
    policy_id: Annotated[
        str | None,
        Field(min_length=1, max_length=64, description="A policy of the service, in place of `channels`."),
    ] = None
    template_id: Annotated[
        Identifier | None, Field(description="With a policy: the template of those of its channels that name none.")
    ] = None
    subject: Annotated[
        str | None,
        Field(min_length=1, max_length=500, description="With a policy: the subject, where a channel of it has none."),
    ] = None
    fields: Annotated[
        dict[str, JsonValue] | None,
        Field(description="With a policy: the arguments of all its templates."),
        WithJsonSchema({"type": "object", "additionalProperties": True}),
    ] = None
    send_at: Annotated[
        str | None,
        Field(
            max_length=64,
            description=(
                "When to send it, as RFC 3339 with its zone, up to a year ahead. It is judged now and rendered then, "
                "with the template and the addresses of that moment; a BATCH notification joins its batch then. A "
                "moment that has passed means at once. It is part of the content: the same content for another moment "
                "is another notification."
            ),
            json_schema_extra={"format": "date-time"},
        ),
    ] = None

    @property
    def every_channel(self) -> list[ChannelIn]:
        """Return what is sent at once, and behind that what later steps send."""
        if self.obligation is None:
            return self.channels
        return self.channels + [channel for step in self.obligation.steps for channel in step.channels]

    @property
    def pointers(self) -> tuple[str, ...]:
        """Return the JSON Pointers of ``every_channel`` in the request that this is."""
        found = [f"/channels/{index}" for index in range(len(self.channels))]
        for number, step in enumerate(self.obligation.steps) if self.obligation else ():
            found += [f"{STEPS}/{number}/channels/{index}" for index in range(len(step.channels))]
        return tuple(found)

    @property
    def about(self) -> str | None:
        """Return the matter that the messages are about, if they are about one."""
        return self.matter or self.aggregator_id

    @property
    def moment(self) -> datetime | None:
        """Return the moment that it asks for, in UTC; None for at once."""
        return None if self.send_at is None else _moment(self.send_at)


@lru_cache(maxsize=1024)  # it is asked for several times of each notification
def _moment(text: str) -> datetime | None:
    """Read a moment as RFC 3339 writes it; None for what is none."""
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC) if _MOMENT.fullmatch(text) else None
    except (ValueError, OverflowError):
        return None


def warnings(notification: NotificationIn, *, new: bool = True) -> tuple[FieldError, ...]:
    """Tell what is kept though it has no effect; of one that is not ``new`` its moment may have passed since."""
    found: list[FieldError] = []
    if notification.priority != "BATCH" and notification.aggregator_id is not None:
        detail = (
            f"It gathers notifications of the priority BATCH alone; this one is {notification.priority}, and is in one "
            f"conversation with the others of its matter."
        )
        found.append(FieldError("/aggregator_id", "aggregator_unused", detail))
    if new and notification.moment is not None and notification.moment <= clock.now():
        found.append(FieldError("/send_at", "send_at_passed", "The moment has passed, so it is sent at once."))
    return tuple(found)


def is_aggregator(text: str) -> bool:
    """Tell whether a text can be an aggregator_id or a matter."""
    return 1 <= len(text) <= MAX_AGGREGATOR and text.isprintable()


class BulkIn(Shape):
    """Several notifications in one request, each of which is validated by itself."""

    notifications: Annotated[list[NotificationIn], Field(min_length=1, max_length=MAX_BULK)]


_OF_POLICY = frozenset({"template_id", "subject", "fields"})


def _policy_faults(notification: NotificationIn) -> Iterator[FieldError]:
    """Find members that do not go together: those of a policy, and those that a policy stands for."""
    given = notification.model_fields_set
    if notification.policy_id is None:
        for name in sorted(_OF_POLICY & given) if not _OF_POLICY.isdisjoint(given) else ():
            detail = "It goes with a 'policy_id'; else each of the 'channels' has its own."
            yield FieldError(f"/{name}", "unknown_member", detail)
        return
    for name in sorted({"channels", "obligation"} & given):
        detail = "A 'policy_id' says what is sent, and when: leave this member out."
        yield FieldError(f"/{name}", "invalid_value", detail)
    if notification.priority == "BATCH":
        yield FieldError("/priority", "invalid_value", "What goes by a policy is NORMAL or HIGH, and in no batch.")


def across(notification: NotificationIn) -> list[FieldError]:
    """Find the faults that no single member shows by itself."""
    errors: list[FieldError] = []
    errors += _policy_faults(notification)
    if not (notification.channels or notification.obligation or notification.policy_id):
        empty = FieldError("/channels", "invalid_value", "Must have at least 1 entries.")
        errors.append(empty if "channels" in notification.model_fields_set else NOTHING_SENT)
    if notification.priority == "BATCH" and notification.aggregator_id is None:
        detail = "The member 'aggregator_id' is needed when the priority is BATCH."
        errors.append(FieldError("/aggregator_id", "missing_member", detail))
    for name, given in (("aggregator_id", notification.aggregator_id), ("matter", notification.matter)):
        if given is not None and not given.isprintable():
            errors.append(FieldError(f"/{name}", "invalid_value", _PRINTABLE))
    if notification.subject is not None and _CONTROL.search(notification.subject):
        errors.append(FieldError("/subject", "invalid_value", "A subject is one line without control characters."))
    if notification.send_at is not None and (fault := _fault_of_moment(notification.moment)) is not None:
        errors.append(FieldError("/send_at", "invalid_value", fault))
    for index, channel in enumerate(notification.every_channel):
        if channel.subject is not None and _CONTROL.search(channel.subject):
            detail = "A subject is one line without control characters."
            errors.append(FieldError(f"{notification.pointers[index]}/subject", "invalid_value", detail))
        if channel.type != "EMAIL":
            errors += [
                FieldError(f"{notification.pointers[index]}/{name}", "invalid_value", f"Only EMAIL has a {name!r}.")
                for name in ("sender", "reply_to")
                if getattr(channel, name) is not None
            ]
    return errors


def _fault_of_moment(moment: datetime | None) -> str | None:
    if moment is None:
        return "Must be a moment with its zone as RFC 3339 writes it, such as 2026-11-21T09:30:00+01:00."
    if moment > clock.now() + FURTHEST:
        return f"Must be at most {FURTHEST.days} days ahead."
    return None
