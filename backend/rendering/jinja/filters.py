"""The filters that templates have beside Jinja's own, and those of Jinja's that are bounded or mean more here."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cached_property
from itertools import chain
from random import Random
from typing import Any

from babel import Locale
from babel.dates import format_date, format_datetime
from jinja2 import Environment, pass_context, pass_environment, pass_eval_context
from jinja2 import filters as jinja
from jinja2.nodes import EvalContext
from jinja2.runtime import Context

from backend.rendering.faults import WrongUse
from backend.rendering.jinja.runtime_phrases import kind
from backend.rendering.locales import locale as language
from backend.rendering.model import LANGUAGE

Filter = Callable[..., Any]

# Under this name, which no template can write, the variables of each message hold its Choice. That they hold something
# of their own also makes Jinja forget after the message what a partial counts that it imports.
CHOICE = "#choice"
# And under this the language of the message.
SPOKEN = "#language"

_DIRECTIVES = re.compile(r"(?:[^%]|%[aAbBdHIjmMpSyYzZ%])*")
_PLAIN_DATE = "%d %B %Y"
_STYLES = frozenset({"short", "medium", "long", "full"})
_LONGEST_FORMAT = 100
_MOST_DECIMALS = 20
_MOST_DIGITS = 400
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@pass_environment
def _sum(environment: Environment, iterable: Iterable[Any], attribute: str | int | None = None, start: Any = 0) -> Any:
    if attribute is not None:
        iterable = map(jinja.make_attrgetter(environment, attribute), iterable)
    if isinstance(start, list):
        # Python adds lists in quadratic time.
        return list(chain(start, chain.from_iterable(iterable)))
    return sum(iterable, start)


@pass_eval_context
def _join(context: EvalContext, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    if attribute is not None:  # what has no such member leaves its place empty, as everywhere else
        value = map(jinja.make_attrgetter(context.environment, attribute, default=""), value)
    return jinja.sync_do_join(context, value, d)


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    if not -_MOST_DECIMALS <= precision <= _MOST_DECIMALS:
        raise WrongUse(f"round takes a precision between -{_MOST_DECIMALS} and {_MOST_DECIMALS}")
    return jinja.do_round(value, precision, method)


class Choice:
    """Chooses at random, the same whenever the same notification is rendered."""

    def __init__(self, fields: object) -> None:
        self._fields = fields

    @cached_property
    def random(self) -> Random:
        """Return the source of chance, made of the fields."""
        return Random(json.dumps(self._fields, sort_keys=True, default=str))  # noqa: S311 - nobody must not guess it


@pass_context
def _random(context: Context, seq: Sequence[Any]) -> Any:
    choice = context.get(CHOICE)
    if not isinstance(choice, Choice) or not seq:
        return jinja.do_random(context, seq)
    return choice.random.choice(seq)


def _given(value: object) -> str:
    """Say of what kind a value is that should have been another, without the value."""
    return "a text that is none" if isinstance(value, str) else kind(type(value).__name__)


def _spoken(context: Context, named: object) -> str:
    """Return the language that an author names, else that of the message."""
    return str(context.get(SPOKEN) or LANGUAGE) if named is None else str(named)


@pass_context
def _date(context: Context, value: object, format: str = _PLAIN_DATE, locale: str | None = None) -> str:  # noqa: A002 - the name authors write
    """Write a date: by directives (``%d %B %Y``), a style (``long``) or a CLDR pattern (``d MMMM y``)."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        reason = f"date takes a date such as 2026-03-02 or 2026-03-02T14:05:00Z, and this is {_given(value)}"
        raise WrongUse(reason) from None
    name = _spoken(context, locale)
    if name == LANGUAGE and format == _PLAIN_DATE:
        return moment.strftime(format)
    spoken = language(name)
    if len(format) > _LONGEST_FORMAT:
        raise WrongUse(f"date takes a format of at most {_LONGEST_FORMAT} characters")
    if "%" not in format:
        if format in _STYLES and _DAY.fullmatch(str(value)):
            return format_date(moment, format, spoken)
        try:
            return format_datetime(moment, format, locale=spoken)
        except (AttributeError, KeyError, ValueError):
            raise WrongUse("date takes a format such as '%d %B %Y', 'long' or 'd MMMM y'") from None
    if not _DIRECTIVES.fullmatch(format):
        raise WrongUse("date takes a format of plain directives such as %d %B %Y, %H:%M")
    if spoken.language == "en":
        return moment.strftime(format)
    return "".join(_directive(moment, piece, spoken) for piece in re.findall(r"%.|[^%]+", format))


# What the directives of names mean in CLDR's patterns; the others are digits in every language.
_NAMES = {"%a": "EEE", "%A": "EEEE", "%b": "MMM", "%B": "MMMM", "%p": "a"}


def _directive(moment: datetime, piece: str, locale: Locale) -> str:
    if piece in _NAMES:
        return format_datetime(moment, _NAMES[piece], locale=locale)
    return moment.strftime(piece) if piece.startswith("%") else piece


@pass_context
def _number(context: Context, value: object, decimals: int | None = None, locale: str | None = None) -> str:
    """Write a number as people of a language read it, with ``decimals`` places or as many as it has."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise WrongUse(f"number takes a number, or a text that is one, and this is {_given(value)}") from None
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        raise WrongUse("number takes numbers of a size that people read")
    if decimals is not None and not 0 <= decimals <= _MOST_DECIMALS:
        raise WrongUse(f"number takes between 0 and {_MOST_DECIMALS} decimals")
    spoken = language(_spoken(context, locale))
    pattern = spoken.decimal_formats[None]
    bounds = None if decimals is None else (decimals, decimals)
    return str(pattern.apply(number, spoken, decimal_quantization=decimals is not None, force_frac=bounds))


FILTERS: dict[str, Filter] = {
    "date": _date,
    "join": _join,
    "number": _number,
    "random": _random,
    "round": _round,
    "sum": _sum,
}
