"""The filters and tests that templates may use: an allow-list, each entry bounded and under the meter."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import wraps
from itertools import chain, islice
from typing import Any

from jinja2 import Environment, pass_environment, pass_eval_context
from jinja2 import filters as jinja
from jinja2.nodes import EvalContext
from jinja2.tests import TESTS as JINJA_TESTS
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from backend.rendering.faults import LimitExceeded
from backend.rendering.limits import (
    LIST_ITEMS,
    SLOW_FILTER_CHARACTERS,
    measure,
    meter,
)

Filter = Callable[..., Any]

_ORDINARY = [
    "abs",
    "batch",
    "capitalize",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "groupby",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "striptags",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
    "wordwrap",
]
_TESTS = [
    "boolean",
    "defined",
    "divisibleby",
    "eq",
    "equalto",
    "even",
    "false",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "string",
    "true",
    "undefined",
    "upper",
    "==",
    "!=",
    ">",
    ">=",
    "<",
    "<=",
]
_DATE_FORMAT = re.compile(r"(?:[^%]|%[aAbBdHIjmMpSyYzZ%])*")


def _replace(value: object, old: object, new: object, count: int | None = None) -> str | Markup:
    text, found = str(value), str(old)
    meter().spend(len(text) + text.count(found) * len(str(new)) * 6)  # the longest escape has six characters
    if hasattr(value, "__html__"):
        marked = Markup(text)  # noqa: S704 - it came as markup
        return marked.replace(found, str(Markup.escape(new)), -1 if count is None else count)
    return text.replace(found, str(new), -1 if count is None else count)


@pass_eval_context
def _join(eval_ctx: EvalContext, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    if attribute is not None:
        value = map(jinja.make_attrgetter(eval_ctx.environment, attribute), value)
    parts = _list(value)
    meter().spend(sum(len(part) for part in parts if isinstance(part, str)) + len(str(d)) * len(parts))
    return jinja.sync_do_join(eval_ctx, parts, d)


@pass_environment
def _sum(environment: Environment, iterable: Iterable[Any], attribute: str | int | None = None, start: Any = 0) -> Any:
    if attribute is not None:
        iterable = map(jinja.make_attrgetter(environment, attribute), iterable)
    if isinstance(start, list):
        # Python adds lists in quadratic time.
        return _list(chain(start, chain.from_iterable(iterable)))
    return sum(iterable, start)


def _list(value: Iterable[Any]) -> list[Any]:
    items = list(islice(value, LIST_ITEMS + 1))
    if len(items) > LIST_ITEMS:
        raise LimitExceeded(f"a list of more than {LIST_ITEMS:,} items")
    return items


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    if not -20 <= precision <= 20:
        raise ValueError("round takes a precision between -20 and 20")
    return jinja.do_round(value, precision, method)


def _batch(value: Iterable[Any], linecount: int, fill_with: Any = None) -> list[Any]:
    if not 1 <= linecount <= 1000:
        raise ValueError("batch takes a count between 1 and 1000")
    return list(jinja.do_batch(_list(value), linecount, fill_with))


def _slice(value: Iterable[Any], slices: int, fill_with: Any = None) -> list[Any]:
    if not 1 <= slices <= 1000:
        raise ValueError("slice takes a count between 1 and 1000")
    return list(jinja.sync_do_slice(_list(value), slices, fill_with))


def _striptags(value: Any) -> str:
    _short(value)
    return jinja.do_striptags(value)


@pass_environment
def _wordwrap(environment: Environment, s: str, width: int = 79, break_long_words: bool = True) -> str:
    _short(s)
    return jinja.do_wordwrap(environment, str(s), max(int(width), 1), break_long_words)


def _short(value: object) -> None:
    """Refuse a text that a filter of quadratic time would work on for seconds."""
    if len(str(value)) > SLOW_FILTER_CHARACTERS:
        raise LimitExceeded(f"this filter takes at most {SLOW_FILTER_CHARACTERS:,} characters")


def _tojson(value: Any) -> Markup:
    return htmlsafe_json_dumps(value)


def _date(value: str, format: str = "%d %B %Y") -> str:  # noqa: A002 - the name that authors write
    if len(format) > 100 or not _DATE_FORMAT.fullmatch(format):
        raise ValueError("date takes a format of plain directives such as %d %B %Y, %H:%M")
    return datetime.fromisoformat(str(value)).strftime(format)


_OWN: dict[str, Filter] = {
    "batch": _batch,
    "date": _date,
    "join": _join,
    "list": _list,
    "replace": _replace,
    "round": _round,
    "slice": _slice,
    "striptags": _striptags,
    "sum": _sum,
    "tojson": _tojson,
    "wordwrap": _wordwrap,
}


def _bounded(function: Filter) -> Filter:
    """Put a filter under the meter, and bound the text or list that it returns."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        meter().tick()
        result = function(*args, **kwargs)
        if isinstance(result, str):
            meter().spend(len(result))
        elif isinstance(result, list) and len(result) > LIST_ITEMS:
            raise LimitExceeded(f"a list of more than {LIST_ITEMS:,} items")
        return result

    return call


# Names that no template can write: the environment puts these calls into the tree itself.
LOOP = "#loop"
CONCATENATION = "#concatenation"
LITERAL = "#literal"


def _loop(value: Iterable[object]) -> Iterable[object]:
    return meter().iterate(iter(value))


def _concatenation(parts: list[Any]) -> str:
    texts = [part if isinstance(part, str) else str(part) for part in parts]
    meter().spend(sum(map(len, texts)))
    if any(hasattr(part, "__html__") for part in texts):
        return Markup("").join(texts)
    return "".join(texts)


def _literal(value: object) -> object:
    measure(value)
    return value


_CHOSEN: dict[str, Any] = {**{name: jinja.FILTERS[name] for name in _ORDINARY}, **_OWN}
FILTERS: dict[str, Filter] = {
    **{name: _bounded(_CHOSEN[name]) for name in _CHOSEN},
    LOOP: _loop,
    CONCATENATION: _concatenation,
    LITERAL: _literal,
}
TESTS: dict[str, Any] = {name: JINJA_TESTS[name] for name in _TESTS}
