"""Fields whose names have a hyphen, which Jinja takes for a minus: ``{{ sample-id }}``."""

from collections.abc import Iterator

from jinja2 import nodes

from backend.rendering.model import TemplateWarning
from backend.rendering.policy import walk
from backend.rendering.sample_fields import written


def subtractions(tree: nodes.Template, source: str) -> Iterator[tuple[TemplateWarning, set[str]]]:
    """Yield a warning for each name that is written with hyphens, and the variables that it was taken for."""
    inner = set[int]()
    for node in walk(tree):
        if isinstance(node, nodes.Sub) and id(node) not in inner:
            parts: list[str] = []
            first: nodes.Expr = node
            while isinstance(first, nodes.Sub) and isinstance(first.right, nodes.Name):
                inner.add(id(first))
                parts.insert(0, first.right.name)
                first = first.left
            if isinstance(first, nodes.Name):
                name, owner, taken = "-".join((first.name, *parts)), "fields", {first.name, *parts}
            elif isinstance(first, nodes.Getattr) and parts:
                name, owner, taken = "-".join((first.attr, *parts)), written(first.node), set(parts)
            else:
                continue
            if name in source:
                detail = f"'{name}' is a subtraction in Jinja: for the field of this name write {owner}[\"{name}\"]."
                yield TemplateWarning(node.lineno, "subtraction", detail), taken
