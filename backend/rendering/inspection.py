"""What an author should look at in a template that works: fields that the sample lacks, faults of taste."""

import re
from collections.abc import Iterator

from jinja2 import nodes

from backend.rendering.compiler import environment_of, parse, parse_subject
from backend.rendering.environments import SUBJECT
from backend.rendering.escaping import unescaped
from backend.rendering.faults import SUBJECT as SUBJECT_POINTER
from backend.rendering.faults import TemplateFault
from backend.rendering.lacking import unknown_fields, untried
from backend.rendering.lost_text import outside_of_blocks
from backend.rendering.masking import unify_newlines
from backend.rendering.misuse import refuse
from backend.rendering.model import Source, TemplateWarning
from backend.rendering.policy import walk
from backend.rendering.subtraction import subtractions

_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
_REMOTE_STYLE = re.compile(r"@import\b|<link\b[^>]*\bstylesheet\b", re.IGNORECASE)
_SAFE = (
    "{} lets HTML through as it is: whoever fills this field can change the message, its links and its pictures. "
    "Use it only for what you write yourself."
)


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
