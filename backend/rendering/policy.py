"""What a template may say: a check of its syntax tree, with the line of what is refused."""

from collections.abc import Collection, Iterator

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from backend.rendering.faults import TemplateFault
from backend.rendering.filters import CONCATENATION, FILTERS, LITERAL, LOOP, TESTS

_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Macro: "macros are not available",
    nodes.CallBlock: "call blocks are not available",
    nodes.Include: "include is not available",
    nodes.Import: "import is not available",
    nodes.FromImport: "import is not available",
    nodes.ScopedEvalContextModifier: "escaping cannot be switched off",
    nodes.EvalContextModifier: "escaping cannot be switched off",
}


def walk(tree: nodes.Node) -> Iterator[nodes.Node]:
    """Yield every node of a tree in the order of the text; deep trees need no deep stack."""
    pending = [tree]
    while pending:
        node = pending.pop()
        yield node
        children: list[nodes.Node] = []
        for field in node.fields:  # as iter_child_nodes does, in half its time
            value = getattr(node, field, None)
            if isinstance(value, nodes.Node):
                children.append(value)
            elif isinstance(value, list):
                children.extend(item for item in value if isinstance(item, nodes.Node))
        pending.extend(reversed(children))


def enforce(tree: nodes.Template, layouts: Collection[str]) -> None:
    """Refuse what a template may not do; raises TemplateFault with the line."""
    for node in walk(tree):
        reason = _REFUSED.get(type(node)) or _refusal(node, layouts)
        if reason:
            raise TemplateFault(reason, node.lineno)


def _refusal(node: nodes.Node, layouts: Collection[str]) -> str | None:
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        return f"there is no filter named '{node.name}'"
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        return f"there is no test named '{node.name}'"
    if isinstance(node, nodes.For) and node.recursive:
        return "recursive loops are not available"
    if isinstance(node, nodes.Getattr) and node.attr.startswith("__"):
        return f"the name '{node.attr}' is not available"
    if isinstance(node, nodes.Extends):
        return _refused_layout(node, layouts)
    return None


def _refused_layout(node: nodes.Extends, layouts: Collection[str]) -> str | None:
    if not layouts:
        return "extends is not available here"
    name = node.template.value if isinstance(node.template, nodes.Const) else None
    if name not in layouts:
        return f"extends takes the name of a layout in quotes: {', '.join(sorted(layouts))}"
    return None


class _Instrument(NodeTransformer):
    """Put loops, concatenations and literals through the meter; Jinja itself bounds none of them."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 - the visitor's naming
        self.generic_visit(node)
        node.iter = _through(LOOP, node.iter)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802
        self.generic_visit(node)
        return _through(CONCATENATION, nodes.List(node.nodes, lineno=node.lineno))

    def visit_List(self, node: nodes.List) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return node if _constant(node.items) else _through(LITERAL, node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return node if node.ctx != "load" or _constant(node.items) else _through(LITERAL, node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _through(LITERAL, node)


def _constant(items: list[nodes.Expr]) -> bool:
    return all(isinstance(item, nodes.Const) for item in items)


def _through(name: str, node: nodes.Node) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def instrument(tree: nodes.Template) -> nodes.Template:
    """Return the tree with its unbounded constructs put through the meter."""
    instrumented = _Instrument().visit(tree)
    assert isinstance(instrumented, nodes.Template)  # noqa: S101 - a visitor returns any node
    return instrumented
