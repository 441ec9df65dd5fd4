"""Which templates may be tried in the process that accepts notifications: those that no field can make costly.

Such a template only reads, compares, escapes and repeats. Everything in it that could grow is counted by the meter
while it runs, each turn of a loop and each joined text, and each single step takes no longer than the fields are
long. The meter looks at the time every sixteen steps, so a template stays close to the time that it may take.
"""

from jinja2 import nodes

from backend.rendering.policy import walk

_NODES = (
    nodes.And,
    nodes.Assign,
    nodes.Block,
    nodes.Compare,
    nodes.Concat,
    nodes.CondExpr,
    nodes.Const,
    nodes.Extends,
    nodes.For,
    nodes.Getattr,
    nodes.Getitem,
    nodes.If,
    nodes.Dict,
    nodes.Keyword,
    nodes.List,
    nodes.Name,
    nodes.Not,
    nodes.Operand,
    nodes.Or,
    nodes.Output,
    nodes.Pair,
    nodes.Template,
    nodes.TemplateData,
    nodes.Test,
    nodes.Tuple,
)
_FILTERS = frozenset(
    {
        "abs",
        "capitalize",
        "count",
        "d",
        "date",
        "default",
        "e",
        "escape",
        "first",
        "float",
        "int",
        "join",
        "last",
        "length",
    }
    | {"lower", "round", "string", "title", "trim", "upper"}
)
_METHODS = frozenset({"get", "items", "keys", "lower", "strip", "title", "upper", "values"})


def is_harmless(tree: nodes.Template) -> bool:
    """Tell whether a template holds nothing but what is harmless; call it before the tree is compiled."""
    return all(_is_harmless(node) for node in walk(tree))


def _is_harmless(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Filter):
        return node.name in _FILTERS
    if isinstance(node, nodes.Call):
        return isinstance(node.node, nodes.Getattr) and node.node.attr in _METHODS
    return isinstance(node, _NODES)
