"""The shape of a notification as client systems send it."""

import re
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

from backend.lib.problems import FieldError
from backend.lib.shapes import Shape

Identifier = Annotated[str, Field(min_length=1, max_length=64)]
MAX_BULK = 100
MAX_AGGREGATOR = 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


class AttachmentIn(Shape):
    """A file that goes with the messages of a channel."""

    name: Annotated[str, Field(min_length=1, max_length=200, description="The file's name, without a path.")]
    type: Annotated[str, Field(min_length=3, max_length=255, description="Its media type, such as `application/pdf`.")]
    content: Annotated[str, Field(description="The file in base64; all of a notification have at most 10 MiB.")]
    inline: Annotated[
        bool, Field(description="An image that the template's HTML shows as `cid:NAME`, not one for the list of files.")
    ] = False


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

    type: Literal["EMAIL", "SLACK", "FRESHSERVICE", "MSTEAMS", "SMS", "LETTER", "APPRISE"]
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
    fields: Annotated[
        dict[str, JsonValue],
        Field(default_factory=dict, description="Arguments of the template."),
        WithJsonSchema({"type": "object", "additionalProperties": True}),
    ]
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


class NotificationIn(Shape):
    """A notification: one or more channels, a priority, and for BATCH what it is gathered by."""

    channels: Annotated[list[ChannelIn], Field(min_length=1, max_length=20)]
    priority: Annotated[
        Literal["NORMAL", "HIGH", "BATCH"],
        Field(description="HIGH goes first; BATCH is held and sent together with others of its `aggregator_id`."),
    ] = "NORMAL"
    aggregator_id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_AGGREGATOR,
            description="Needed for BATCH: what belongs together. Printable text; elsewhere it is kept and warned of.",
        ),
    ] = None


def warnings(notification: NotificationIn) -> tuple[FieldError, ...]:
    """Tell what is kept though it has no effect."""
    if notification.priority == "BATCH" or notification.aggregator_id is None:
        return ()
    detail = f"It gathers notifications of the priority BATCH alone; this one is {notification.priority}."
    return (FieldError("/aggregator_id", "aggregator_unused", detail),)


def is_aggregator(text: str) -> bool:
    """Tell whether a text can be an aggregator_id."""
    return 1 <= len(text) <= MAX_AGGREGATOR and text.isprintable()


class BulkIn(Shape):
    """Several notifications in one request, each of which is judged by itself."""

    notifications: Annotated[list[NotificationIn], Field(min_length=1, max_length=MAX_BULK)]


def across(notification: NotificationIn) -> list[FieldError]:
    """Find the faults that no single member shows by itself."""
    errors: list[FieldError] = []
    if notification.priority == "BATCH" and notification.aggregator_id is None:
        detail = "The member 'aggregator_id' is needed when the priority is BATCH."
        errors.append(FieldError("/aggregator_id", "missing_member", detail))
    if notification.aggregator_id is not None and not notification.aggregator_id.isprintable():
        detail = "Must be printable text, without control characters and line breaks."
        errors.append(FieldError("/aggregator_id", "invalid_value", detail))
    for index, channel in enumerate(notification.channels):
        if channel.subject is not None and _CONTROL.search(channel.subject):
            detail = "A subject is one line without control characters."
            errors.append(FieldError(f"/channels/{index}/subject", "invalid_value", detail))
    return errors
