"""Fields whose names have a hyphen, which Jinja takes for a minus: ``{{ sample-id }}``."""

from collections.abc import Collection, Iterator

import msgspec
from jinja2 import nodes

from backend.rendering.model import TemplateWarning
from backend.rendering.policy import walk
from backend.rendering.sample_fields import written


class Subtraction(msgspec.Struct, frozen=True):
    """A name that is written with hyphens, and the variables that Jinja takes it for."""

    line: int
    name: str
    owner: str
    variables: frozenset[str]

    def is_meant(self, known: Collection[str]) -> bool:
        """Tell whether it is what its author wants, by the fields that are known."""
        return self.variables <= set(known) and self.name not in known

    @property
    def warning(self) -> TemplateWarning:
        """Say what to write instead."""
        instead = f'{self.owner}["{self.name}"]'
        detail = f"'{self.name}' is a subtraction in Jinja: for the field of this name write {instead}."
        return TemplateWarning(self.line, "subtraction", detail)


def subtractions(tree: nodes.Template, source: str) -> Iterator[Subtraction]:
    """Yield each name that is written with hyphens."""
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
                name, owner, taken = "-".join((first.name, *parts)), "fields", [first.name, *parts]
            elif isinstance(first, nodes.Getattr) and parts:
                name, owner, taken = "-".join((first.attr, *parts)), written(first.node), parts
            else:
                continue
            if name in source:
                yield Subtraction(node.lineno, name, owner, frozenset(taken))
