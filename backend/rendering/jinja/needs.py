"""What a template needs of its fields so that it renders for certain: then it need not be run to see that it does.

A template that only writes values, and chooses by them what it writes, fails only where one of them is missing. What
it looks up can be told once for all, and found in the fields in a fraction of the time that running takes. Where it
cannot be told, or something is missing, the template is run, which also names the fault.
"""

from collections.abc import Iterator

import msgspec
from jinja2 import nodes

from backend.rendering.jinja.sandbox import GLOBALS

# Far below every limit of a render, even if each character is escaped.
_CHARACTERS = 100_000
_LENGTH_OF_A_NUMBER = 32
_SCALARS = frozenset({str, int, float, bool, type(None)})
# Of these names Jinja itself makes something.
_RESERVED = frozenset({"caller", "kwargs", "loop", "self", "super", "varargs", *GLOBALS})
_DEFAULT = frozenset({"d", "default"})
_OF_TEXT = frozenset({"capitalize", "e", "escape", "lower", "string", "trim", "upper"})


class Need(msgspec.Struct, frozen=True):
    """A member of a mapping, which may be missing if it is ``optional``; ``mapping`` is the way to that."""

    mapping: tuple[str, ...]
    member: str
    optional: bool


class _Uncertain(Exception):
    """Something of which only running it tells what comes of it."""


def are_met(needs: tuple[Need, ...], variables: dict[str, object]) -> bool:
    """Tell whether a template of these needs renders for certain; false says nothing."""
    length = 0
    for need in needs:
        mapping: object = variables
        for name in need.mapping:
            mapping = mapping.get(name) if isinstance(mapping, dict) else None
        if not isinstance(mapping, dict):
            return False
        if need.member in mapping:
            value = mapping[need.member]
            if type(value) not in _SCALARS:
                return False
            length += len(value) if isinstance(value, str) else _LENGTH_OF_A_NUMBER
        elif not need.optional:
            return False
    return length <= _CHARACTERS


def needs_of(tree: nodes.Template) -> tuple[Need, ...] | None:
    """List what a template looks up, once for each time that it does; None where that cannot be told.

    Call it before the tree is compiled.
    """
    try:
        return tuple(need for node in tree.body for need in _of_statement(node))
    except (_Uncertain, RecursionError):
        return None


def _of_statement(node: nodes.Node) -> Iterator[Need]:
    match node:
        case nodes.Output():
            for part in node.nodes:
                if not isinstance(part, nodes.TemplateData):
                    yield from _of_value(part)
        case nodes.If():
            yield from _of_condition(node.test)
            for inner in (*node.body, *node.elif_, *node.else_):
                yield from _of_statement(inner)
        case _:
            raise _Uncertain


def _of_value(node: nodes.Node | None) -> Iterator[Need]:
    """List what an expression looks up that then has a value to be written, or to be asked whether it is true."""
    match node:
        case nodes.Const():
            pass
        case nodes.Filter(kwargs=[], dyn_args=None, dyn_kwargs=None):
            yield from _of_filtered(node)
        case nodes.Test(name="defined" | "undefined", args=[]):
            yield _need(node.node, optional=True)
        case nodes.And() | nodes.Or():
            yield from _of_value(node.left)
            yield from _of_value(node.right)
        case nodes.Not():
            yield from _of_value(node.node)
        case nodes.Compare(ops=[nodes.Operand(op="eq" | "ne") as right]):
            yield from _of_value(node.expr)
            yield from _of_value(right.expr)
        case nodes.CondExpr():
            yield from _of_condition(node.test)
            for part in (node.expr1, node.expr2):
                yield from _of_value(part)
        case _:
            yield _need(node, optional=False)


def _of_condition(node: nodes.Node) -> Iterator[Need]:
    """List what is asked: what is missing is false, and keeps nothing from being rendered."""
    match node:
        case nodes.And() | nodes.Or():
            yield from _of_condition(node.left)
            yield from _of_condition(node.right)
        case nodes.Not():
            yield from _of_condition(node.node)
        case nodes.Name() | nodes.Getattr() | nodes.Getitem():
            yield _need(node, optional=True)
        case _:
            yield from _of_value(node)


def _of_filtered(node: nodes.Filter) -> Iterator[Need]:
    if node.name in _DEFAULT:
        yield _need(node.node, optional=True)
        for argument in node.args:
            yield from _of_value(argument)
    elif node.name in _OF_TEXT and not node.args:
        yield from _of_value(node.node)
    else:
        raise _Uncertain


def _need(node: nodes.Node | None, *, optional: bool) -> Need:
    *mapping, member = _path(node)
    return Need(tuple(mapping), member, optional)


def _path(node: nodes.Node | None) -> tuple[str, ...]:
    match node:
        case nodes.Name(name=name) if name not in _RESERVED:
            return (name,)
        case nodes.Getattr(node=inner, attr=name) | nodes.Getitem(node=inner, arg=nodes.Const(value=str() as name)):
            return (*_path(inner), name)
        case _:
            raise _Uncertain
