"""The sandboxed Jinja environments: what template code can reach, and how values become text."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jinja2 import DictLoader, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import _GroupTuple
from jinja2.runtime import BlockReference, Context, LoopContext, TemplateReference, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range
from markupsafe import Markup

from backend.rendering import policy
from backend.rendering.faults import LimitExceeded
from backend.rendering.filters import FILTERS, TESTS
from backend.rendering.limits import INTEGER_BITS, LIST_ITEMS, OUTPUT_CHARACTERS, measure, meter
from backend.rendering.undefined import MissingField

_STRING_METHODS = frozenset(
    {"capitalize", "endswith", "isalpha", "isdigit", "lower", "lstrip", "removeprefix", "removesuffix", "rstrip"}
    | {"split", "splitlines", "startswith", "strip", "title", "upper"}
)
_LOOP_METHODS = frozenset({"changed", "cycle"})
_LOOP_COUNTERS = frozenset(
    {"depth", "depth0", "first", "index", "index0", "last", "length", "nextitem", "previtem", "revindex", "revindex0"}
)
_METHODS = _STRING_METHODS | _LOOP_METHODS
# What each type shows of itself; groupby yields pairs of grouper and list.
_ATTRIBUTES: dict[type, frozenset[str]] = {
    str: _STRING_METHODS,
    LoopContext: _LOOP_COUNTERS | _LOOP_METHODS,
    BlockReference: frozenset({"super"}),
    _GroupTuple: frozenset({"grouper", "list"}),
}
_DATA = frozenset({str, Markup, int, float, bool, type(None), dict, list})
_MAPPING_METHODS: dict[str, Callable[[dict[Any, Any]], Callable[..., Any]]] = {
    "items": lambda mapping: lambda: list(mapping.items()),
    "keys": lambda mapping: lambda: list(mapping),
    "values": lambda mapping: lambda: list(mapping.values()),
    "get": lambda mapping: mapping.get,
}


class Method:
    """A method that a template may call but neither print nor look into."""

    __slots__ = ("_function", "_name")

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name = name
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __str__(self) -> str:
        raise TypeError(f"'{self._name}' needs brackets: {self._name}()")

    __html__ = __str__
    __iter__ = None


GLOBALS: dict[str, object] = {"range": Method("range", safe_range)}


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja for templates that strangers write.

    Look-up on a mapping finds its members before anything else, so a field may be called ``items`` or
    ``attributes``; Python's methods are out of reach but for a few harmless ones.
    """

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, *, layouts: dict[str, str] | None = None, **options: Any) -> None:
        super().__init__(
            undefined=MissingField,
            loader=DictLoader(layouts or {}),
            optimized=False,
            auto_reload=False,
            keep_trailing_newline=True,
            **{"finalize": printable, **options},
        )
        self.layouts = frozenset(layouts or ())
        self.globals = dict(GLOBALS)
        self.filters = dict(FILTERS)
        self.tests = dict(TESTS)
        self.concat = bounded_concat  # type: ignore[method-assign] # Jinja's way to replace its join
        self.binop_table.update({"+": _add, "*": _multiply, "**": _power, "%": _remainder})

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        policy.enforce(source, self.layouts)
        return super()._generate(policy.instrument(source), name, filename, defer_init)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Look up ``obj.attribute``."""
        if isinstance(obj, dict):
            return obj[attribute] if attribute in obj else self._member(obj, attribute)
        if isinstance(obj, Undefined):
            return getattr(obj, attribute)
        if isinstance(obj, TemplateReference):
            return self.getitem(obj, attribute)
        for kind, attributes in _ATTRIBUTES.items():
            if isinstance(obj, kind) and attribute in attributes:
                value = getattr(obj, attribute)
                return Method(attribute, value) if attribute in _METHODS else value
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Look up ``obj[argument]``."""
        if type(obj) is dict and type(argument) is str and argument in obj:
            return obj[argument]
        if isinstance(obj, dict) and isinstance(argument, str):
            return self._member(obj, argument)
        if isinstance(obj, tuple) and isinstance(argument, str):
            return self.getattr(obj, argument)
        if isinstance(obj, (dict, list, tuple, str, range, Undefined, TemplateReference)):
            try:
                return obj[argument]
            except (TypeError, LookupError):
                pass
        return self.undefined(obj=obj, name=argument)

    def _member(self, mapping: dict[Any, Any], name: str) -> Any:
        if name in mapping:
            return mapping[name]
        if name in _MAPPING_METHODS:
            return Method(name, _MAPPING_METHODS[name](mapping))
        return self.undefined(obj=mapping, name=name)

    def is_safe_callable(self, obj: Any) -> bool:
        """Allow what this module hands out and the blocks of layouts; data is never callable."""
        return isinstance(obj, (Method, BlockReference))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as the parent, so that no keyword argument can collide
        """Call what template code may call."""
        if isinstance(__obj, Undefined):
            return __obj()
        if not __self.is_safe_callable(__obj):
            raise SecurityError("only methods can be called, and this is none")
        return super().call(__context, __obj, *args, **kwargs)


def printable(value: Any) -> Any:
    """Refuse to print what is no data, such as the unfinished result of ``map``."""
    if type(value) in _DATA:
        return value
    if isinstance(value, (Iterator, LoopContext, TemplateReference, BlockReference)):
        raise TypeError("this is a sequence or block in the making, not a value: add |list or |join, or brackets")
    return value


def bounded_concat(parts: Iterable[str]) -> str:
    """Join what a block or a nested output produced, up to the limit of the whole output."""
    pieces: list[str] = []
    size = 0
    for piece in parts:
        size += len(piece)
        if size > OUTPUT_CHARACTERS:
            raise LimitExceeded(f"the message is longer than {OUTPUT_CHARACTERS:,} characters")
        pieces.append(piece)
    return "".join(pieces)


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        meter().spend(len(left) + len(right))
    total = left + right
    if isinstance(total, (list, tuple)):
        measure(total)
    return total


def _multiply(left: Any, right: Any) -> Any:
    for many, times in ((left, right), (right, left)):
        if isinstance(many, (str, list, tuple)) and isinstance(times, int):
            if isinstance(many, str):
                meter().spend(len(many) * max(times, 0))
            elif len(many) * times > LIST_ITEMS:
                raise LimitExceeded(f"a list of more than {LIST_ITEMS:,} items")
            product = many * times
            measure(product)
            return product
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > INTEGER_BITS:
        raise LimitExceeded("a number with too many digits")
    return left * right


def _power(left: Any, right: Any) -> Any:
    whole = isinstance(left, int) and isinstance(right, int)
    if whole and max(left.bit_length(), 1) * abs(right) > INTEGER_BITS:
        raise LimitExceeded("a number with too many digits")
    return left**right


def _remainder(left: Any, right: Any) -> Any:
    if not isinstance(left, (int, float)):
        raise TypeError("% takes numbers; write values with {{ … }} and join them with ~")
    return left % right
