"""Which templates may be tried in the process that accepts notifications: those that no field can make costly.

Such a template only reads, compares, escapes and repeats. It builds no text, list or number that could grow: what it
writes is counted while it runs, each turn of a loop is, and each single step takes no longer than the fields are
long. The meter looks at the time every sixteen steps, so a template stays close to the time that it may take.
"""

from jinja2 import nodes

from backend.rendering.policy import walk

_NODES = (
    nodes.And,
    nodes.Block,
    nodes.Compare,
    nodes.CondExpr,
    nodes.Const,
    nodes.Extends,
    nodes.Getattr,
    nodes.Getitem,
    nodes.If,
    nodes.Keyword,
    nodes.Name,
    nodes.Not,
    nodes.Operand,
    nodes.Or,
    nodes.Output,
    nodes.Slice,
    nodes.Template,
    nodes.TemplateData,
    nodes.Test,
)
_FILTERS = frozenset(
    {"abs", "capitalize", "count", "d", "date", "default", "e", "escape", "first", "float", "int", "join", "last"}
    | {"length", "lower", "number", "round", "string", "title", "trim", "upper"}
)
_METHODS = frozenset({"get", "items", "keys", "lower", "strip", "title", "upper", "values"})
_LONGEST_ARGUMENT = 64
_LARGEST_ARGUMENT = 20


def is_harmless(tree: nodes.Template) -> bool:
    """Tell whether a template holds nothing but what is harmless; call it before the tree is compiled."""
    return all(_is_harmless(node) for node in walk(tree))


def _is_harmless(node: nodes.Node) -> bool:
    match node:
        case nodes.Filter():
            return node.name in _FILTERS and _is_small(node)
        case nodes.Call(node=nodes.Getattr(attr=name)):
            return name in _METHODS
        case nodes.For():
            return not node.recursive
        case nodes.Assign():
            return isinstance(node.target, (nodes.Name, nodes.Tuple))
        case nodes.Tuple() | nodes.List():  # the targets of a loop, or constants to choose from
            return all(isinstance(item, (nodes.Const, nodes.Name)) for item in node.items) and (
                (isinstance(node, nodes.Tuple) and node.ctx == "store") or _is_constant(node)
            )
        case _:
            return isinstance(node, _NODES)


def _is_constant(node: nodes.Tuple | nodes.List) -> bool:
    return all(isinstance(item, nodes.Const) for item in node.items)


def _is_small(node: nodes.Filter) -> bool:
    """Tell whether the arguments of a filter leave its result as long as what it was given."""
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        return False
    given = [*node.args, *(keyword.value for keyword in node.kwargs)]
    return node.name in {"d", "default"} or all(map(_is_small_constant, given))


def _is_small_constant(node: nodes.Expr) -> bool:
    if not isinstance(node, nodes.Const):
        return False
    if isinstance(node.value, str):
        return len(node.value) <= _LONGEST_ARGUMENT
    return node.value is None or (isinstance(node.value, (int, float)) and abs(node.value) <= _LARGEST_ARGUMENT)
