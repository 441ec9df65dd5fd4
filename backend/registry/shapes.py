"""The form of what is registered, for every door: limits, and one plain sentence for each fault."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from backend.channels.base import Channel
from backend.lib import durations
from backend.lib.shapes import Shape

MAX_ENDPOINTS = 500
MAX_SOURCE_BYTES = 256 * 1024
_WEEK = 7 * 24 * 3600
_SHORTEST_REPEAT, _LONGEST_REPEAT = timedelta(minutes=1), timedelta(days=366)


def _one_line(text: str) -> str:
    if any(character < " " or character == "\x7f" for character in text):
        raise ValueError("Must be one line without control characters.")
    if not text.strip():
        raise ValueError("Must hold more than white space.")
    return text


def _source(text: str) -> str:
    if len(text.encode()) > MAX_SOURCE_BYTES:
        raise ValueError(f"Must have at most {MAX_SOURCE_BYTES} bytes in UTF-8 (256 KiB).")
    return text


def _fields(value: Any) -> Any:
    many = value if isinstance(value, list) else [value]
    if not many or not all(isinstance(one, dict) for one in many):
        raise ValueError("Must be an object, or, for a batch, an array of at least one object.")
    return value


def _repeat_after(text: str) -> str:
    if not _SHORTEST_REPEAT <= durations.read(text) <= _LONGEST_REPEAT:
        raise ValueError("Must be between one minute (1m) and 366 days (366d).")
    return text


RepeatAfter = Annotated[str, AfterValidator(_repeat_after)]
Name = Annotated[str, Field(min_length=1, max_length=160), AfterValidator(_one_line)]
# A union would put the names of its branches into the pointers of its faults.
Fields = Annotated[
    Any,
    AfterValidator(_fields),
    WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}, "minItems": 1}]}),
]


class EndpointShape(Shape):
    """One address on one channel."""

    type: Annotated[Channel, Field(strict=False)]
    address: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2048,
            description=(
                "EMAIL `alerts@lab.example`; SMS `+447700900123`; SLACK `#channel`, a channel id or an "
                "incoming-webhook URL; MSTEAMS the URL of a Workflows webhook; FRESHSERVICE the requester with "
                "options, `alerts@lab.example;group_id=42;priority=2`; LETTER three to seven lines with `;` between "
                "them; APPRISE a URL of the Apprise library."
            ),
        ),
    ]


class RecipientShape(Shape):
    """A recipient group."""

    name: Name
    endpoints: Annotated[list[EndpointShape], Field(max_length=MAX_ENDPOINTS)]


class BatchShape(Shape):
    """When a batch of this template goes out; what is absent follows the installation's settings."""

    quiet_seconds: Annotated[float | None, Field(ge=0, le=_WEEK)] = None
    max_wait_seconds: Annotated[float | None, Field(ge=0, le=_WEEK)] = None
    max_items: Annotated[int | None, Field(ge=1, le=1_000_000)] = None

    def given(self) -> dict[str, int | float] | None:
        """Return the members that were given, whole numbers as such; ``None`` when there are none."""
        members = {name: value for name, value in self.model_dump().items() if value is not None}
        return {name: int(value) if value == int(value) else value for name, value in members.items()} or None


class TemplateShape(Shape):
    """A template as its author sends it; ``subject`` is a template of one line."""

    name: Name
    kind: Annotated[
        Literal["template", "partial", "layout"],
        Field(
            description="What is included, imported or extended is a `partial` or `layout`; nothing is sent with it."
        ),
    ] = "template"
    format: Literal["mjml", "html", "text", "markdown"]
    source: Annotated[
        str, Field(min_length=1, json_schema_extra={"maxLength": MAX_SOURCE_BYTES}), AfterValidator(_source)
    ]
    subject: Annotated[str | None, Field(min_length=1, max_length=2000)] = None
    sample_fields: Fields | None = None
    batch: BatchShape | None = None
    repeat_after: Annotated[
        RepeatAfter | None,
        Field(
            description=(
                "After how long the same content is new again, as `30m`, `24h` or `7d`; without it, never. A"
                " notification is new again when the time of each of its templates is over."
            ),
            json_schema_extra={"examples": ["24h"]},
        ),
    ] = None
