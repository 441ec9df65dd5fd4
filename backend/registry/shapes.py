"""The form of what is registered, for every entry point: limits, and one plain sentence for each fault."""

from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from backend.channels.base import Channel
from backend.lib import durations, timetable
from backend.lib.languages import language_tag
from backend.lib.strict_json import LanguageTag, Shape
from backend.registry.templates import Format, Kind, Variant

MAX_ENDPOINTS = 500
MAX_SOURCE_BYTES = 256 * 1024
MAX_VARIANTS = 20
_WEEK = 7 * 24 * 3600
_SHORTEST_REPEAT, _LONGEST_REPEAT = timedelta(minutes=1), timedelta(days=366)


def one_line(text: str) -> str:
    """Return a text of one line that says something.

    Raises:
        ValueError: with a sentence, when it is none.
    """
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


def _digest(text: str) -> str:
    timetable.read(text)
    return text


# An id or an address; which of them there are is seen where the template is published.
SenderChoice = Annotated[str, Field(min_length=3, max_length=254), AfterValidator(one_line)]
RepeatAfter = Annotated[str, AfterValidator(_repeat_after)]
Name = Annotated[str, Field(min_length=1, max_length=160), AfterValidator(one_line)]
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
    language: Annotated[
        LanguageTag | None,
        Field(description="The language that it reads: templates with a variant in it are sent in that."),
    ] = None
    endpoints: Annotated[list[EndpointShape], Field(max_length=MAX_ENDPOINTS)]


def _whole(value: float | str | bool) -> int | float | str | bool:
    return int(value) if isinstance(value, float) and value.is_integer() else value


class BatchShape(Shape):
    """When a batch of this template goes out, and what it remembers; absent limits are the installation's."""

    quiet_seconds: Annotated[float | None, Field(ge=0, le=_WEEK)] = None
    max_wait_seconds: Annotated[float | None, Field(ge=0, le=_WEEK)] = None
    max_items: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    digest: Annotated[
        Annotated[str, AfterValidator(_digest)] | None,
        Field(
            description=(
                "Fixed times at which it goes out: days (`daily`, `weekdays`, `weekends`, or `mon,thu`), times and a"
                " time zone. It then waits for these; a quiet time and a longest wait end it before only where they"
                " are given here as well."
            ),
            json_schema_extra={"examples": ["weekdays 08:00 Europe/London"]},
        ),
    ] = None
    item_key: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(one_line)] | None = Field(
        default=None,
        description=(
            "The member of the fields by which an item is known again from message to message of a matter. The "
            "template then has `fields.new`, `fields.still` and `fields.resolved`, and of each item `first_seen` "
            "and `times_told`."
        ),
        json_schema_extra={"examples": ["sample-id"]},
    )
    only_if_new: Annotated[
        bool | None, Field(description="Whether a batch in which nothing is new is not sent. It needs an `item_key`.")
    ] = None

    @model_validator(mode="after")
    def _known_again(self) -> Self:
        if self.only_if_new and self.item_key is None:
            raise PydanticCustomError("only_if_new", "only_if_new needs an item_key, by which it is told what is new.")
        return self

    def given(self) -> dict[str, int | float | str | bool] | None:
        """Return the members that were given, whole numbers as such; ``None`` when there are none."""
        members = {name: value for name, value in self.model_dump().items() if value is not None}
        return {name: _whole(value) for name, value in members.items()} or None


Source = Annotated[str, Field(min_length=1, json_schema_extra={"maxLength": MAX_SOURCE_BYTES}), AfterValidator(_source)]
Subject = Annotated[str | None, Field(min_length=1, max_length=2000)]


class VariantShape(Shape):
    """What a template says in another language; without sample fields of its own it is tried with the template's."""

    source: Source
    subject: Subject = None
    sample_fields: Fields | None = None

    @property
    def content(self) -> Variant:
        """Return it as it is stored."""
        return Variant(source=self.source, subject=self.subject, sample_fields=self.sample_fields)


def _by_language(given: dict[str, VariantShape]) -> dict[str, VariantShape]:
    found: dict[str, VariantShape] = {}
    for written, variant in given.items():
        tag = language_tag(written)
        if tag in found:
            raise ValueError(f"There are two variants in {tag}: keep one of them.")
        found[tag] = variant
    return found


Variants = Annotated[
    dict[str, VariantShape],
    Field(
        max_length=MAX_VARIANTS,
        description=(
            "The same in other languages, by their tags (BCP 47). Each recipient gets the one in its own `language`,"
            " else in that of the channel, else in the service's; what there is no variant in falls back, with a"
            " warning. All are published together."
        ),
    ),
    AfterValidator(_by_language),
]


class TemplateShape(Shape):
    """A template as its author sends it; ``subject`` is a template of one line."""

    name: Name
    kind: Annotated[
        Kind,
        Field(
            description="What is included, imported or extended is a `partial` or `layout`; nothing is sent with it."
        ),
    ] = "template"
    format: Format
    source: Source
    subject: Subject = None
    sample_fields: Fields | None = None
    language: Annotated[
        LanguageTag | None,
        Field(description="The language of `source`, `subject`, numbers and dates; without it, the service's."),
    ] = None
    variants: Variants | None = None
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
    sender: Annotated[
        SenderChoice | None,
        Field(
            description=(
                "From whom its e-mails come: a verified sender of the service, by id or address. A channel may choose"
                " another one; without it, e-mails come from the service's default sender."
            ),
            json_schema_extra={"examples": ["lims@lab.example"]},
        ),
    ] = None
    reply_to: Annotated[
        SenderChoice | None, Field(description="Where answers to its e-mails go, chosen in the same way.")
    ] = None

    def variants_by_language(self) -> dict[str, Variant]:
        """Return the variants as they are stored."""
        return {tag: one.content for tag, one in (self.variants or {}).items()}
