"""The sandboxed Jinja environments: what template code can reach, and how values become text."""

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import DictLoader, nodes, pass_environment, pass_eval_context
from jinja2.defaults import DEFAULT_NAMESPACE
from jinja2.environment import TemplateModule
from jinja2.exceptions import SecurityError, TemplateRuntimeError, UndefinedError
from jinja2.nodes import EvalContext
from jinja2.runtime import BlockReference, Context, LoopContext, Macro, TemplateReference, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range
from jinja2.utils import Cycler, Namespace, missing
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from backend.rendering.faults import LimitExceeded, MissingVariable, WrongUse
from backend.rendering.jinja.filters import FILTERS
from backend.rendering.jinja.runtime_phrases import kind
from backend.rendering.jinja.static_analysis import is_harmless
from backend.rendering.jinja.suggestions import near, one_word
from backend.rendering.limits import INTEGER_BITS, counted

_NEAR = 0.75
# What Jinja itself gives in some places.
_ELSEWHERE = {
    "caller": "'caller' is for macros that are used by {% call %}",
    "loop": "'loop' is for the inside of a loop, between {% for %} and {% endfor %}",
    "super": "'super' is for blocks of a template that extends a layout",
}
GLOBALS: dict[str, object] = {**DEFAULT_NAMESPACE, "range": safe_range}
_DATA = frozenset({str, Markup, int, float, bool, type(None), dict, list})
_UNFINISHED = (Iterator, LoopContext, TemplateReference, BlockReference, Namespace, Cycler, Macro)
_MAPPING_METHODS = frozenset({"copy", "get", "items", "keys", "values"})
# Names that no template can write: the environment puts these calls into the tree itself.
_ASKED, _LOOP, _METHOD, _LENGTH = "#asked", "#loop", "#method", "#length"
_LENGTHS = frozenset({"count", "length"})


# What a template gets for a member that is not there: false where it is asked for, a fault where it is printed.


class MissingField(Undefined):
    """Jinja's undefined, which can be asked, but neither printed nor looped over: it is false and holds nothing.

    What is looked up in it is the same missing member again, so that a fault names the first one. Its message is for
    people who know their fields, not Python.
    """

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: type[TemplateRuntimeError] = UndefinedError,
    ) -> None:
        variable = obj is missing and hint is None and exc is UndefinedError and name not in _ELSEWHERE
        super().__init__(hint, obj, name, MissingVariable if variable else exc)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, _: object) -> Any:
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MissingField)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return id(MissingField)

    def __contains__(self, _: object) -> bool:
        return False

    def __str__(self) -> str:
        if self._is_nothing:
            return ""
        return str(self._fail_with_undefined_error())

    __repr__ = __str__  # as a part of a list it would be printed too

    def __iter__(self) -> Iterator[Any]:
        return iter(self._fail_with_undefined_error())

    def __len__(self) -> int:
        return len(self._fail_with_undefined_error())

    @property
    def _is_nothing(self) -> bool:
        """Say whether no member is missing: the least item of none, or an argument that a macro was not given."""
        hint = self._undefined_hint
        return (
            hint is not None
            and self._undefined_exception is UndefinedError
            and (self._undefined_name is None or hint.startswith("parameter "))
        )

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        name: object = self._undefined_name  # an index where a list was asked
        owner = self._undefined_obj
        match owner:
            case _ if owner is missing:
                said = _ELSEWHERE.get(str(name)) or f"the field '{name}' is missing"
            case dict():
                said = _not_in_mapping(name, owner)
            case list() | tuple():
                said = _not_in_list(name, owner)
            case TemplateReference():
                said = f"there is no block '{name}'"
            case TemplateModule():
                said = f"'{owner.__name__}' has no macro '{name}'{near(str(name), vars(owner), _NEAR)}"
            case _:
                what = f"item {name}" if isinstance(name, int) else f"field '{name}'"
                asked = "; ask for it first by {% if … %}" if owner is None else ""
                said = f"{kind(type(owner).__name__)} has no {what}{asked}"
        return said


def _not_in_mapping(name: object, owner: dict[object, object]) -> str:
    names = [key for key in owner if isinstance(key, str)]
    if isinstance(name, int):
        if str(name) in owner:
            return f'there is no item {name}; a name of digits is written ["{name}"]'
        return f'a mapping of names has no item {name}; take its members by their names, as in fields["name"]'
    meant = one_word(str(name), names)
    said = f'; write ["{meant}"] in place of .{name}' if meant else near(str(name), names, _NEAR)
    return f"the field '{name}' is missing{said}"


def _not_in_list(name: object, owner: list[object] | tuple[object, ...]) -> str:
    if isinstance(name, int):
        first = ", of which the first is number 0" if name == len(owner) and owner else ""
        return f"the list has no item {name}; it has {len(owner)}{first}"
    return f"a list has no field '{name}'; loop over it or take one item"


@pass_eval_context
def printable(_: EvalContext, value: Any) -> Any:
    """Refuse to print what is no data, such as the unfinished result of ``map``.

    That it asks for the context keeps Jinja from evaluating constant expressions while it compiles.
    """
    if type(value) in _DATA or isinstance(value, Undefined):
        return value
    if isinstance(value, _UNFINISHED):
        raise WrongUse("this is something in the making, not a value: add |list or |join, or brackets")
    if callable(value):
        raise WrongUse("this is something to call, not a value: write brackets after its name")
    return value


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja for templates that strangers write, all of it that reaches no host.

    Look-up on a mapping finds its members before anything else, so a field may be called ``items`` or
    ``attributes``; where brackets follow, the mapping's method is meant. Templates may name what ``library`` holds.
    """

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self, *, library: Mapping[str, str] | None = None, **options: Any) -> None:
        defaults: dict[str, Any] = {
            "undefined": MissingField,
            "loader": DictLoader(library or {}),
            "optimized": False,
            "auto_reload": False,
            "finalize": printable,
        }
        super().__init__(**{**defaults, **options})
        self.add_extension("jinja2.ext.loopcontrols")
        self.add_extension("jinja2.ext.do")
        self.library = dict(library or {})
        self.filters.update(FILTERS)
        self.filters.update({_ASKED: _asked, _LOOP: counted, _METHOD: _method, _LENGTH: _length})
        self.binop_table.update({"*": _multiply, "**": _power})

    def with_library(self, more: Mapping[str, str]) -> "Sandbox":
        """Return an environment in which templates may name ``more`` besides."""
        library = {**self.library, **more}
        made: Sandbox = self.overlay(loader=DictLoader(library))
        made.library = library
        return made

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        prepared = _Prepared(harmless=is_harmless(source)).visit(source)
        return super()._generate(prepared, name, filename, defer_init)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Look up ``obj.attribute``."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Look up ``obj[argument]``."""
        if isinstance(obj, Undefined):
            return obj[argument]
        return super().getitem(obj, argument)

    def method(self, obj: Any, name: str) -> Any:
        """Look up what is called: of a mapping its method, whatever members it has."""
        return super().getattr(obj, name) if isinstance(obj, dict) else self.getattr(obj, name)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        """Say in our words that a name is out of reach."""
        reason = f"the name '{attribute}' is not available"
        if isinstance(obj, (list, dict)) and not attribute.startswith("_"):
            reason += "; lists and mappings stay as they are: write {% set ns.all = ns.all + [item] %}"
        return self.undefined(reason, name=attribute, obj=obj, exc=SecurityError)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as the parent, so that no keyword argument can collide
        """Call what template code may call."""
        if not callable(__obj):
            raise WrongUse("this is a value, not something to call: leave out the brackets after it")
        if not __self.is_safe_callable(__obj):
            raise SecurityError("this cannot be called")
        return super().call(__context, __obj, *args, **kwargs)


class _Prepared(NodeTransformer):
    """Brings the tree of a template to what the environment means by it.

    The loops of a harmless one go through the meter; every other one is stopped by the process that it runs in.
    """

    def __init__(self, *, harmless: bool) -> None:
        self._harmless = harmless

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 - the visitor's naming
        self.generic_visit(node)
        if node.else_:  # what to write where there is nothing was thought of
            node.iter = _through(_ASKED, node.iter)
        if self._harmless:
            node.iter = _through(_LOOP, node.iter)
        return node

    def visit_Assign(self, node: nodes.Assign) -> nodes.Assign | list[nodes.Stmt]:  # noqa: N802
        self.generic_visit(node)
        if node.target.find(nodes.NSRef) is None and not isinstance(node.target, nodes.NSRef):
            return node
        # Jinja gives no line to its look at what is assigned to, which so has that of the statement before.
        return [nodes.ExprStmt(nodes.Const(None), lineno=node.lineno), node]

    def visit_Call(self, node: nodes.Call) -> nodes.Call:  # noqa: N802
        self.generic_visit(node)
        called = node.node
        if isinstance(called, nodes.Name) and called.name == "loop":  # a recursion ends where there is nothing more
            node.args = [_through(_ASKED, argument) for argument in node.args]
        if isinstance(called, nodes.Getattr) and called.attr in _MAPPING_METHODS:
            node.node = _through(_METHOD, called.node, nodes.Const(called.attr, lineno=node.lineno))
        return node

    def visit_If(self, node: nodes.If) -> nodes.If:  # noqa: N802
        _ask(node.test)
        self.generic_visit(node)
        return node

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.CondExpr:  # noqa: N802
        _ask(node.test)
        self.generic_visit(node)
        return node


def _ask(test: nodes.Node) -> None:
    """Let the length of a missing member be 0 where it is asked for and not printed."""
    for node in (test, *test.find_all(nodes.Filter)):
        if isinstance(node, nodes.Filter) and node.name in _LENGTHS:
            node.name = _LENGTH


def _through(name: str, node: nodes.Node, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(arguments), [], None, None, lineno=node.lineno)


@pass_environment
def _method(environment: Sandbox, value: Any, name: str) -> Any:
    return environment.method(value, name)


def _asked(value: Any) -> Any:
    return () if isinstance(value, Undefined) else value


def _length(value: Any) -> int:
    return 0 if isinstance(value, Undefined) else len(value)


def _multiply(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > INTEGER_BITS:
        raise LimitExceeded("a number with too many digits")
    return left * right


def _power(left: Any, right: Any) -> Any:
    whole = isinstance(left, int) and isinstance(right, int)
    if whole and max(left.bit_length(), 1) * abs(right) > INTEGER_BITS:
        raise LimitExceeded("a number with too many digits")
    return left**right
