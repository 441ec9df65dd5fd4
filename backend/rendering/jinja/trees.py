"""Questions to the syntax tree of a template: what stands in it, what it names, sets and asks for."""

from collections.abc import Iterator

from jinja2 import nodes

Reference = nodes.Extends | nodes.FromImport | nodes.Import | nodes.Include


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


def references(node: nodes.Node) -> list[str] | None:
    """Return the names that an include, import or extends may mean, in its order; None if only the fields tell."""
    if not isinstance(node, Reference):
        return []
    template = node.template
    names = template.items if isinstance(template, (nodes.List, nodes.Tuple)) else [template]
    constant = [name.value for name in names if isinstance(name, nodes.Const) and isinstance(name.value, str)]
    return constant if len(constant) == len(names) else None


def assigned(tree: nodes.Template) -> set[str]:
    """Return the names that a template sets itself."""
    return {node.name for node in walk(tree) if isinstance(node, nodes.Name) and node.ctx == "store"}


def excused(tree: nodes.Template) -> Iterator[int]:
    """Yield the nodes that ask whether a field is there, or say what to use instead."""
    for node in walk(tree):
        asks = isinstance(node, nodes.Test) and node.name in {"defined", "undefined"}
        replaces = isinstance(node, nodes.Filter) and node.name in {"default", "d"}
        if (asks or replaces) and isinstance(node, (nodes.Test, nodes.Filter)) and node.node is not None:
            yield id(node.node)


def written(node: nodes.Node | None) -> str:
    """Write a variable as its author did, or nearly."""
    match node:
        case nodes.Name(name=name):
            return name
        case nodes.Getattr(node=owner, attr=member):
            return f"{written(owner)}.{member}"
        case nodes.Getitem(node=owner, arg=nodes.Const(value=member)):
            return f"{written(owner)}[{member}]" if isinstance(member, int) else f'{written(owner)}["{member}"]'
        case nodes.Getitem(node=owner):
            return written(owner)
        case nodes.Filter(node=inner):
            return written(inner)
    return "…"
