"""What is known of a template before it runs: whether it may be tried in the process that accepts notifications.

A harmless template is one that no field can make costly. It only reads, compares, escapes and repeats. It builds no
text, list or number that could grow: what it writes is counted while it runs, each turn of a loop is, and each single
step takes no longer than the fields are long. The meter looks at the time every sixteen steps, so a template stays
close to the time that it may take.

A memberwise template renders a batch whenever it renders each of its members alone. It only goes through ``fields`` in
a loop that takes nothing along from one turn to the next, and tells how many there are. So it need not be tried with
the whole batch when a notification joins it.
"""

from jinja2 import nodes

from backend.rendering.jinja.trees import walk

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
_LENGTHS = frozenset({"count", "length"})
# What a loop counts, what leads out of it, and what could look at all fields elsewhere.
_CARRIED = frozenset({"loop", "self", "super", "varargs"})
_ELSEWHERE = (nodes.NSRef, nodes.Break, nodes.Include, nodes.Import, nodes.FromImport, nodes.CallBlock, nodes.Extends)


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
