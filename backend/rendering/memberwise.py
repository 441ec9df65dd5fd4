"""Which templates render a batch whenever they render each of its members alone.

Such a template only goes through ``fields`` in a loop that takes nothing along from one turn to the next, and tells how
many there are. So it need not be tried with the whole batch when a notification joins it.
"""

from jinja2 import nodes

from backend.rendering.policy import walk

_LENGTHS = frozenset({"count", "length"})
# What a loop counts, what leads out of it, and what could look at all fields elsewhere.
_CARRIED = frozenset({"loop", "self", "super", "varargs"})
_ELSEWHERE = (nodes.NSRef, nodes.Break, nodes.Include, nodes.Import, nodes.FromImport, nodes.CallBlock, nodes.Extends)


def is_memberwise(tree: nodes.Template) -> bool:
    """Tell whether each member of a batch is written by itself; call it before the tree is compiled."""
    return not any(map(_is_elsewhere, walk(tree))) and all(map(_is_memberwise, tree.body))


def _is_elsewhere(node: nodes.Node) -> bool:
    return isinstance(node, _ELSEWHERE) or (isinstance(node, nodes.Name) and node.name in _CARRIED)


def _is_memberwise(node: nodes.Node) -> bool:
    match node:
        case nodes.For(iter=nodes.Name(name="fields"), recursive=False):
            return not any(map(_reads_fields, (*node.body, *node.else_, *([node.test] if node.test else []))))
        case nodes.Output():
            return all(_is_length(part) or not _reads_fields(part) for part in node.nodes)
        case _:
            return not _reads_fields(node)


def _is_length(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Filter) and node.name in _LENGTHS and isinstance(node.node, nodes.Name)


def _reads_fields(node: nodes.Node) -> bool:
    return any(isinstance(one, nodes.Name) and one.name == "fields" for one in walk(node))
