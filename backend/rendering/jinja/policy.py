"""What a template may say: a check of its syntax tree, with the line of what no fields can make work.

``enforce`` is for every template that is compiled. ``refuse`` looks for calls that do not fit what they call, and tags
where they mean nothing, when a template is checked, not when a message is made of one that was published before.
"""

import inspect
from collections.abc import Collection, Iterator
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables
from jinja2.utils import _PassArg

from backend.rendering.faults import TemplateFault
from backend.rendering.jinja.errors import syntax_fault
from backend.rendering.jinja.sandbox import GLOBALS
from backend.rendering.jinja.suggestions import near
from backend.rendering.jinja.trees import Reference, assigned, references, walk

_TAGS: dict[type[nodes.Node], str] = {
    nodes.Extends: "extends",
    nodes.FromImport: "import",
    nodes.Import: "import",
    nodes.Include: "include",
}
_OWN = frozenset({"caller", "fields", "loop", "self", "super", *GLOBALS})
# What Python calls what is a filter here.
_AS_FILTERS = {"len": "length", "str": "string", "sorted": "sort", "reversed": "reverse"}
_NO_PARAMETERS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def enforce(tree: nodes.Template, environment: Environment, known: Collection[str]) -> None:
    """Refuse what cannot work whatever the fields are; ``known`` names what may be included, imported and extended.

    Raises:
        TemplateFault: with the line.
    """
    asks = any(isinstance(node, nodes.Test) and node.name in {"filter", "test"} for node in walk(tree))
    for node in walk(tree):
        reason = _refusal(node, known) or (None if asks else _unknown(node, environment))
        if reason:
            raise TemplateFault(reason, node.lineno)


def _unknown(node: nodes.Node, environment: Environment) -> str | None:
    if isinstance(node, nodes.Filter) and node.name not in environment.filters:
        return f"there is no filter named '{node.name}'{near(node.name, environment.filters)}"
    if isinstance(node, nodes.Test) and node.name not in environment.tests:
        return f"there is no test named '{node.name}'{near(node.name, environment.tests)}"
    return None


def _refusal(node: nodes.Node, known: Collection[str]) -> str | None:
    if isinstance(node, nodes.Getattr) and node.attr.startswith("__"):
        return f"the name '{node.attr}' is not available"
    if isinstance(node, (nodes.EvalContextModifier, nodes.ScopedEvalContextModifier)):
        constant = all(isinstance(option.value, nodes.Const) for option in node.options)
        return None if constant else "autoescape takes true or false"
    if isinstance(node, Reference):
        return _unknown_reference(node, known)
    return None


def _unknown_reference(node: Reference, known: Collection[str]) -> str | None:
    names, tag = references(node), _TAGS[type(node)]
    if not names:
        return f"{tag} takes the name of a partial or layout in quotes"
    if getattr(node, "ignore_missing", False) or any(name in known for name in names):
        return None
    name = names[0]
    available = near(name, known) or (f"; there are {', '.join(sorted(known))}" if known else "")
    return f"{tag}: there is no partial or layout named '{name[:80]}'{available}"


def refuse(tree: nodes.Template, environment: Environment, *, alone: bool) -> None:
    """Refuse what cannot work; ``alone`` tells that nothing but the template itself gives it macros.

    Raises:
        TemplateFault: with the line.
    """
    faults = [*_doubled(tree), *_outside_of_loops(tree), *_misfits(tree, environment)]
    if alone and not faults:
        try:
            faults += _unknown_calls(tree, environment.filters)
        except TemplateSyntaxError as error:  # of Jinja's compiler
            raise syntax_fault(error) from None
    if faults:
        raise min(faults, key=lambda fault: fault.line or 0)


def _doubled(tree: nodes.Template) -> Iterator[TemplateFault]:
    """Yield layouts and blocks that come a second time."""
    first: dict[str, nodes.Block] = {}
    for node in walk(tree):
        if isinstance(node, nodes.Block) and first.setdefault(node.name, node) is not node:
            line = first[node.name].lineno
            again = f"to show it again write {{{{ self.{node.name}() }}}}, or give the second another name"
            yield TemplateFault(f"the block '{node.name}' is on line {line} already: {again}", node.lineno)
    layouts = [node for node in tree.body if isinstance(node, nodes.Extends)]
    for node in layouts[1:]:
        reason = f"a template extends one layout, and this one does on line {layouts[0].lineno} already"
        yield TemplateFault(f"{reason}: let that layout extend the other", node.lineno)


def _outside_of_loops(tree: nodes.Template) -> Iterator[TemplateFault]:
    inside = {
        id(node) for loop in walk(tree) if isinstance(loop, nodes.For) for part in loop.body for node in walk(part)
    }
    for node in walk(tree):
        if isinstance(node, (nodes.Break, nodes.Continue)) and id(node) not in inside:
            tag = type(node).__name__.lower()
            yield TemplateFault(
                f"{{% {tag} %}} belongs into a loop, between {{% for %}} and {{% endfor %}}", node.lineno
            )


def _misfits(tree: nodes.Template, environment: Environment) -> Iterator[TemplateFault]:
    """Yield filters and tests that are given more, fewer or other arguments than they take."""
    for node in walk(tree):
        if not isinstance(node, (nodes.Filter, nodes.Test)):
            continue
        is_filter = isinstance(node, nodes.Filter)
        known = environment.filters if is_filter else environment.tests
        taken = _misfit(known[node.name], node) if node.name in known else None
        if taken is not None:
            what, write = ("filter", "|") if is_filter else ("test", "is ")
            reason = f"the {what} '{node.name}' does not take these arguments: write {write}{node.name}{taken}"
            yield TemplateFault(reason, node.lineno)


def _misfit(function: Any, node: nodes.Filter | nodes.Test) -> str | None:
    """Return how the arguments are written if they are given otherwise; None if they fit, or only running it tells."""
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        return None
    plain = inspect.unwrap(function)
    before = 2 if _PassArg.from_obj(plain) is not None else 1  # the value, and what Jinja gives besides
    try:
        signature = inspect.signature(plain)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*[None] * (before + len(node.args)), **{str(one.key): None for one in node.kwargs})
    except TypeError:
        return _written(list(signature.parameters.values())[before:])
    return None


def _written(parameters: Collection[inspect.Parameter]) -> str:
    taken = [one for one in parameters if one.kind not in _NO_PARAMETERS]
    if not taken:
        return " without brackets"
    optional = [one.name for one in taken if one.default is not inspect.Parameter.empty]
    left_out = f", of which {', '.join(optional)} may be left out" if optional else ""
    return f"({', '.join(one.name for one in taken)}){left_out}"


def _unknown_calls(tree: nodes.Template, filters: Collection[str]) -> Iterator[TemplateFault]:
    """Yield calls of names that are neither functions nor macros, and members that are set in what is no namespace."""
    macros = {one.name for one in tree.find_all(nodes.Macro)}
    # Jinja also counts a name as free that only one branch sets.
    free = find_undeclared_variables(tree) - _OWN - assigned(tree) - macros
    for node in walk(tree):
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in free:
            name = node.node.name
            as_filter = _AS_FILTERS.get(name, name)
            known = as_filter in filters
            instead = f"; write {{{{ value|{as_filter} }}}}" if known else near(name, [*GLOBALS, *macros])
            yield TemplateFault(f"there is no function or macro named '{name}'{instead}", node.lineno)
        elif isinstance(node, nodes.NSRef) and node.name in {*free, "fields"}:
            begin = f"begin with {{% set {node.name} = namespace() %}}"
            reason = f"a member can be set in a namespace alone, and '{node.name}' is none: {begin}"
            yield TemplateFault(reason, node.lineno)
