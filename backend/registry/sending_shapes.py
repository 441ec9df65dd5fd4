"""The form of windows and mutes, for every entry point: limits, and one plain sentence for each fault."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, model_validator
from pydantic_core import PydanticCustomError

from backend.lib import durations, holidays, windows
from backend.lib.strict_json import Shape
from backend.lib.windows import DAYS, Hours, Window
from backend.registry import owned
from backend.registry.sending import EqualTexts, Throttle
from backend.registry.shapes import one_line

_MOST_HOURS = 14
_MOST_HOLIDAYS = 100
_SHORTEST, _LONGEST = timedelta(seconds=10), timedelta(days=31)


def _age(text: str) -> str:
    durations.read(text)
    return text


def _span(text: str) -> str:
    if not _SHORTEST <= durations.read(text) <= _LONGEST:
        raise ValueError("Must be between ten seconds (10s) and 31 days (31d).")
    return text


def _each_once(days: list[str]) -> list[str]:
    return sorted(set(days), key=DAYS.index)


Age = Annotated[str, AfterValidator(_age)]


class HoursShape(Shape):
    """From one time of a day to another; an end that is not later than the beginning is that of the following day."""

    days: Annotated[
        list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]],
        Field(min_length=1, max_length=7, description="The days on which it begins."),
        AfterValidator(_each_once),
    ]
    start: Annotated[str, Field(pattern=windows.TIME_PATTERN, json_schema_extra={"examples": ["08:00"]})]
    until: Annotated[
        str,
        Field(
            pattern=windows.END_PATTERN,
            description="The end of a day is `24:00`.",
            json_schema_extra={"examples": ["18:00"]},
        ),
    ]


class WindowShape(Shape):
    """When messages may leave: by the clock on the wall of a time zone, whatever that clock does."""

    hours: Annotated[list[HoursShape], Field(min_length=1, max_length=_MOST_HOURS)]
    zone: Annotated[str, AfterValidator(windows.check_zone), Field(json_schema_extra={"examples": ["Europe/London"]})]
    holidays: Annotated[
        list[Annotated[str, AfterValidator(holidays.check)]],
        Field(
            default_factory=list,
            max_length=_MOST_HOLIDAYS,
            description=(
                "Days on which no hours begin: the public holidays of a country (`GB`) or of a part of one (`GB-ENG`), "
                "by their ISO 3166 codes, and single days (`2026-12-24`)."
            ),
        ),
    ]
    except_high: Annotated[bool, Field(description="Whether HIGH notifications leave at any time.")] = False

    def window(self) -> Window:
        """Return the window that is described."""
        hours = tuple(Hours(tuple(one.days), one.start, one.until) for one in self.hours)
        return Window(hours, self.zone, tuple(dict.fromkeys(self.holidays)), self.except_high)


class ThrottleShape(Shape):
    """At most so many messages to each recipient in a span of time."""

    most: Annotated[int, Field(ge=1, le=1000)]
    per: Annotated[
        str,
        AfterValidator(_span),
        Field(description="From `10s` to `31d`.", json_schema_extra={"examples": ["1h"]}),
    ]
    then: Annotated[
        Literal["refuse", "digest"],
        Field(description="One too many is refused (429), or joins a digest, as a BATCH notification does."),
    ] = "refuse"
    digest_template: Annotated[
        Annotated[str, Field(pattern=owned.PATTERN)] | None,
        Field(description="The template of the digest. As that of a BATCH, it sees the list of what it gathers."),
    ] = None
    except_high: Annotated[bool, Field(description="Whether HIGH notifications are neither held nor counted.")] = False

    @model_validator(mode="after")
    def _made_with_something(self) -> Self:
        if (self.then == "digest") is not (self.digest_template is not None):
            raise PydanticCustomError("digest_template", "A digest needs a digest_template, and nothing else does.")
        return self

    def throttle(self) -> Throttle:
        """Return the throttle that is described."""
        return Throttle(**self.model_dump())


class EqualTextsShape(Shape):
    """What becomes of a text message that equals the one that went to the same number a moment ago."""

    then: Annotated[
        Literal["refuse", "digest"],
        Field(description="It is refused (429), or joins a digest, as a BATCH notification does."),
    ]
    digest_template: Annotated[
        Annotated[str, Field(pattern=owned.PATTERN)] | None,
        Field(description="The template of the digest, which sees the list of what it gathers."),
    ] = None

    @model_validator(mode="after")
    def _made_with_something(self) -> Self:
        if (self.then == "digest") is not (self.digest_template is not None):
            raise PydanticCustomError("digest_template", "A digest needs a digest_template, and nothing else does.")
        return self

    def equal_texts(self) -> EqualTexts:
        """Return the rule that is described."""
        return EqualTexts(**self.model_dump())


class SendingRulesShape(Shape):
    """When messages may leave, and how many; without a window and a throttle, all of them at any time.

    A recipient has no throttle of its own. The service alone has a recipient of tickets.
    """

    window: WindowShape | None = None
    throttle: ThrottleShape | None = None
    equal_texts: Annotated[
        EqualTextsShape | None,
        Field(description="Without it an equal text waits as long as the provider's `equal_within` says."),
    ] = None
    worklist_ticket: Annotated[
        Annotated[str, Field(pattern=owned.PATTERN)] | None,
        Field(description="The recipient whose service desk gets a ticket for what comes to the worklist."),
    ] = None


class MuteShape(Shape):
    """Silence until a moment; what waits for its end leaves then."""

    until: Annotated[AwareDatetime, Field(strict=False, description="When it ends, with an offset from UTC.")]
    reason: Annotated[str, Field(min_length=1, max_length=300), AfterValidator(one_line)]
    drop_older_than: Annotated[
        Age | None,
        Field(
            description=(
                "What has waited for longer than this when the mute ends is cancelled, as `2h` or `1d`; without it, "
                "all of it leaves."
            )
        ),
    ] = None
    except_high: Annotated[bool, Field(description="Whether HIGH notifications leave all the same.")] = False
