"""What a template may say: a check of its syntax tree, with the line of what is refused."""

from collections.abc import Collection, Iterator

from jinja2 import Environment, nodes

from backend.rendering.faults import TemplateFault
from backend.rendering.suggestions import near

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


def references(node: nodes.Node) -> list[str] | None:
    """Return the names that an include, import or extends may mean, in its order; None if only the fields tell."""
    if not isinstance(node, Reference):
        return []
    template = node.template
    names = template.items if isinstance(template, (nodes.List, nodes.Tuple)) else [template]
    constant = [name.value for name in names if isinstance(name, nodes.Const) and isinstance(name.value, str)]
    return constant if len(constant) == len(names) else None


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


_TAGS: dict[type[nodes.Node], str] = {
    nodes.Extends: "extends",
    nodes.FromImport: "import",
    nodes.Import: "import",
    nodes.Include: "include",
}
