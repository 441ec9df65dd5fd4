"""What an author should look at in a template that works: fields that the sample lacks, faults of taste."""

import re
from collections.abc import Collection, Iterator

import msgspec
from jinja2 import nodes

from backend.rendering.compiler import environment_of, parse, parse_subject
from backend.rendering.faults import SUBJECT as SUBJECT_POINTER
from backend.rendering.faults import TemplateFault
from backend.rendering.html.escaping import unescaped
from backend.rendering.jinja.environments import SUBJECT
from backend.rendering.jinja.masking import unify_newlines
from backend.rendering.jinja.policy import refuse
from backend.rendering.jinja.trees import walk, written
from backend.rendering.model import Format, Source, TemplateWarning
from backend.rendering.sample_fields import unknown_fields, untried

_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
_REMOTE_STYLE = re.compile(r"@import\b|<link\b[^>]*\bstylesheet\b", re.IGNORECASE)
_SAFE = (
    "{} lets HTML through as it is: whoever fills this field can change the message, its links and its pictures. "
    "Use it only for what you write yourself."
)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_BEFORE = (
    "This comes before the layout, so it is written before the whole page: put it into a block, or behind"
    " {% extends %} to leave it out."
)
_LOST = "This stands outside of the blocks and is left out, since the template extends a layout: put it into a block."
# What gives values and macros, and writes nothing.
_SILENT = (nodes.Assign, nodes.AssignBlock, nodes.Block, nodes.FromImport, nodes.Import, nodes.Macro)


def inspect(source: Source, sample_fields: object | None, *, batch: bool) -> list[TemplateWarning]:
    """Return the warnings that need no rendering.

    Raises:
        TemplateFault: for what cannot work, whatever the fields are.
    """
    tree = parse(source)
    refuse(tree, environment_of(source), alone=not (source.fragment or source.partials))
    if source.subject is not None:
        _refuse_subject(source.subject)
    written = unify_newlines(source.source)
    known = sample_fields if isinstance(sample_fields, dict) else ()
    subtracted = [one for one in subtractions(tree, written) if not one.is_meant(known)]
    passed_over = {name for one in subtracted for name in one.variables}
    warnings = [*outside_of_blocks(tree, source.format), *(one.warning for one in subtracted)]
    if sample_fields is not None:
        warnings.extend(unknown_fields(source, tree, passed_over, sample_fields, batch=batch))
    elif not source.fragment:
        warnings.extend(untried(source, tree, passed_over))
    if source.format in {"html", "mjml"}:
        warnings.extend((*_images(written), *_remote_styles(written), *unescaped(written), *_trusted(tree)))
    return warnings


def _refuse_subject(subject: str) -> None:
    try:
        refuse(parse_subject(subject), SUBJECT, alone=True)
    except TemplateFault as fault:
        fault.pointer = SUBJECT_POINTER
        raise


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


def outside_of_blocks(tree: nodes.Template, form: Format) -> Iterator[TemplateWarning]:
    """Yield a warning for each piece outside of the blocks, with its line.

    Jinja writes what comes before ``extends``, but in MJML, where the layout is put in first.
    """
    extends = next((position for position, node in enumerate(tree.body) if isinstance(node, nodes.Extends)), None)
    if extends is None:
        return
    told = False
    for position, node in enumerate(tree.body):
        if isinstance(node, (nodes.Block, nodes.Extends)):
            told = False
        left_out = form == "mjml" and isinstance(node, nodes.Macro)  # which no MJML begins with
        line = None if told else node.lineno if left_out else _line(node)
        if line is not None:
            told = True
            detail = _BEFORE if position < extends and form != "mjml" else _LOST
            yield TemplateWarning(line, "lost_text", detail)


def _line(node: nodes.Node) -> int | None:
    """Return the line on which a node first writes something; None if it writes nothing."""
    if isinstance(node, _SILENT):
        return None
    if isinstance(node, nodes.TemplateData):
        text = _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), node.data)
        return node.lineno + text[: len(text) - len(text.lstrip())].count("\n") if text.strip() else None
    if isinstance(node, (nodes.Include, nodes.CallBlock, nodes.FilterBlock)):
        return node.lineno
    if isinstance(node, nodes.Output):
        lines = (_line(part) if isinstance(part, nodes.TemplateData) else part.lineno for part in node.nodes)
    else:
        lines = (_line(inner) for inner in node.iter_child_nodes() if isinstance(inner, nodes.Stmt))
    return next((line for line in lines if line is not None), None)


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
