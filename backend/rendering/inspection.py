"""What an author should look at in a template that works: fields that the sample lacks, faults of taste."""

import re
from collections.abc import Iterator

import msgspec
from jinja2 import nodes
from jinja2.meta import find_undeclared_variables

from backend.rendering.compiler import parse
from backend.rendering.escaping import unescaped
from backend.rendering.masking import unify_newlines
from backend.rendering.model import Source, TemplateWarning
from backend.rendering.policy import walk
from backend.rendering.sandbox import GLOBALS

_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
_REMOTE_STYLE = re.compile(r"@import\b|<link\b[^>]*\bstylesheet\b", re.IGNORECASE)
_SAFE = (
    "{} lets HTML through as it is: whoever fills this field can change the message, its links and its pictures. "
    "Use it only for what you write yourself."
)
_OURS = frozenset({"fields", "loop", "self", "super", "caller", "kwargs", "varargs", *GLOBALS})


def inspect(source: Source, sample_fields: object | None, *, batch: bool) -> list[TemplateWarning]:
    """Return the warnings that need no rendering."""
    tree = parse(source)
    warnings = list(_unknown_fields(tree, sample_fields, batch=batch))
    if source.format in {"html", "mjml"}:
        written = unify_newlines(source.source)
        warnings.extend((*_images(written), *_remote_styles(written), *unescaped(written), *_trusted(tree)))
    return warnings


def _images(source: str) -> Iterator[TemplateWarning]:
    for match in _IMAGE.finditer(source):
        if not re.search(r"\balt\s*=", match[0], re.IGNORECASE):
            line = source.count("\n", 0, match.start()) + 1
            detail = "The image has no alt text, so readers who see no images learn nothing of it."
            yield TemplateWarning(line, "missing_alt", detail)


def _trusted(tree: nodes.Template) -> Iterator[TemplateWarning]:
    for node in walk(tree):
        if isinstance(node, nodes.Filter) and node.name == "safe":
            yield TemplateWarning(node.lineno, "unescaped_output", _SAFE.format("'safe'"))
        elif isinstance(node, nodes.ScopedEvalContextModifier):
            yield TemplateWarning(node.lineno, "unescaped_output", _SAFE.format("'autoescape'"))


def _remote_styles(source: str) -> Iterator[TemplateWarning]:
    for match in _REMOTE_STYLE.finditer(source):
        line = source.count("\n", 0, match.start()) + 1
        detail = "Few mail programs fetch a style sheet from elsewhere: declare fonts by mj-font, and write styles out."
        yield TemplateWarning(line, "remote_stylesheet", detail)


def _unknown_fields(tree: nodes.Template, sample: object | None, *, batch: bool) -> Iterator[TemplateWarning]:
    if not batch and not isinstance(sample, dict):
        return
    known = frozenset(sample) if isinstance(sample, dict) and not batch else frozenset[str]()
    # Jinja also counts a name as free that only one branch sets.
    free = find_undeclared_variables(tree) - _OURS - _assigned(tree)
    excused = set(_excused(tree))
    for node in walk(tree):
        name = _read(node, free, batch=batch)
        if name is None or name in known or id(node) in excused:
            continue
        if batch:
            detail = f"'{name}' is never set: a batch has only 'fields', the list of all notifications' fields."
        else:
            detail = f"The sample fields have no '{name}'."
        yield TemplateWarning(node.lineno, "unknown_field", detail)


def _assigned(tree: nodes.Template) -> set[str]:
    return {node.name for node in walk(tree) if isinstance(node, nodes.Name) and node.ctx == "store"}


def _read(node: nodes.Node, free: set[str], *, batch: bool) -> str | None:
    """Return the field that a node reads: a free name, or a member of ``fields`` where that is a mapping."""
    if isinstance(node, nodes.Name) and node.ctx == "load" and node.name in free:
        return node.name
    if batch or not isinstance(node, (nodes.Getattr, nodes.Getitem)):
        return None
    if not isinstance(node.node, nodes.Name) or node.node.name != "fields":
        return None
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else None


def _excused(tree: nodes.Template) -> Iterator[int]:
    """Yield the nodes that ask whether a field is there, or say what to use instead."""
    for node in walk(tree):
        asks = isinstance(node, nodes.Test) and node.name in {"defined", "undefined"}
        replaces = isinstance(node, nodes.Filter) and node.name in {"default", "d"}
        if (asks or replaces) and isinstance(node, (nodes.Test, nodes.Filter)) and node.node is not None:
            yield id(node.node)


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


def fields_read(source: Source) -> FieldsRead:
    """Tell which fields the body and the subject of a working template read, where they stand for one notification."""
    needed, excused, conditional = set[str](), set[str](), set[str]()
    others = [Source("text", source.subject)] if source.subject else []
    others += [Source(one.format, one.source, None, source.partials) for one in source.partials]
    for tree in map(parse, (source, *others)):
        free = find_undeclared_variables(tree) - _OURS - _assigned(tree)
        pardoned = {*_excused(tree), *_only_asked(tree)}
        for node in walk(tree):
            name = _read(node, free, batch=False)
            if name is not None:
                (excused if id(node) in pardoned else needed).add(name)
            if isinstance(node, (nodes.If, nodes.CondExpr)):
                conditional.update(_names(node.test, free))
    # A field that is asked about first is read safely behind that.
    asked = {name for name in excused if name in conditional}
    return FieldsRead(frozenset(needed - asked), frozenset(excused - needed | asked), frozenset(conditional))


def _names(tree: nodes.Node, free: set[str]) -> Iterator[str]:
    for node in walk(tree):
        name = _read(node, free, batch=False)
        if name is not None:
            yield name
