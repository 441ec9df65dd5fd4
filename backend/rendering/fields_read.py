"""Which fields a template reads by name."""

from collections.abc import Iterator

import msgspec
from jinja2 import nodes
from jinja2.meta import find_undeclared_variables

from backend.rendering.compiler import parse
from backend.rendering.jinja.sandbox import GLOBALS
from backend.rendering.jinja.trees import assigned, excused, walk
from backend.rendering.model import SURROUNDINGS, Source

_OF_JINJA = frozenset({"loop", "self", "super", "caller", "kwargs", "varargs", *GLOBALS})
# Names that no field has.
OURS = _OF_JINJA | {"fields"}


def _read(node: nodes.Node, free: set[str]) -> str | None:
    """Return the field that a node reads: a free name, or a member of ``fields`` where that is a mapping."""
    if isinstance(node, nodes.Name) and node.ctx == "load" and node.name in free:
        return node.name
    if not isinstance(node, (nodes.Getattr, nodes.Getitem)):
        return None
    if not isinstance(node.node, nodes.Name) or node.node.name != "fields":
        return None
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else None


def _only_asked(tree: nodes.Template) -> Iterator[int]:
    """Yield the nodes of which a condition asks whether they are true, which is false for what is missing."""
    for node in walk(tree):
        pending = [node.test] if isinstance(node, (nodes.If, nodes.CondExpr)) else []
        while pending:
            asked = pending.pop()
            yield id(asked)
            if isinstance(asked, (nodes.And, nodes.Or)):
                pending += [asked.left, asked.right]
            elif isinstance(asked, nodes.Not):
                pending.append(asked.node)


class FieldsRead(msgspec.Struct, frozen=True):
    """The fields that a template reads by name.

    It does not render without the ``needed`` ones; ``optional`` ones it does without. Those that are
    ``conditional`` it asks about before it shows them, so that they may be empty.
    """

    needed: frozenset[str]
    optional: frozenset[str]
    conditional: frozenset[str]


def _trees(source: Source) -> Iterator[nodes.Template]:
    """Yield the body, the subject and all partials."""
    others = [Source("text", source.subject)] if source.subject else []
    others += [Source(one.format, one.source, None, source.partials) for one in source.partials]
    yield from map(parse, (source, *others))


def reads_fields(source: Source) -> bool:
    """Tell whether a working template reads any field at all."""
    return any(find_undeclared_variables(tree) - _OF_JINJA - SURROUNDINGS for tree in _trees(source))


def fields_read(source: Source) -> FieldsRead:
    """Tell which fields the body and the subject of a working template read, where they stand for one notification."""
    needed, pardoned, conditional = set[str](), set[str](), set[str]()
    for tree in _trees(source):
        free = find_undeclared_variables(tree) - OURS - assigned(tree)
        asking = {*excused(tree), *_only_asked(tree)}
        for node in walk(tree):
            name = _read(node, free)
            if name is not None:
                (pardoned if id(node) in asking else needed).add(name)
            if isinstance(node, (nodes.If, nodes.CondExpr)):
                conditional.update(_names(node.test, free))
    # A field that is asked about first is read safely behind that, and what surrounds a message is always there.
    asked = (pardoned & conditional) | (needed & SURROUNDINGS)
    return FieldsRead(frozenset(needed - asked), frozenset(pardoned - needed | asked), frozenset(conditional))


def _names(tree: nodes.Node, free: set[str]) -> Iterator[str]:
    for node in walk(tree):
        name = _read(node, free)
        if name is not None:
            yield name
