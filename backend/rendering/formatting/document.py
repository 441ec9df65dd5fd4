"""A whole source, formatted."""

import re

from jinja2 import TemplateSyntaxError

from backend.rendering.formatting.html import indented
from backend.rendering.formatting.mjml import arranged
from backend.rendering.jinja.environments import ENVIRONMENTS
from backend.rendering.jinja.masking import Mask, mask_jinja, unify_newlines
from backend.rendering.limits import SOURCE_BYTES
from backend.rendering.model import Format

FORMATTED: frozenset[Format] = frozenset({"mjml", "html"})
_SPACE = re.compile(r"[ \t\n\f]+")
_COMPONENT = re.compile(r"<(?:mjml|mj-(?!raw\b))")


def formatted(form: Format, source: str) -> str | None:
    """Return the source with its lines indented by two spaces for each level; None where that cannot be done.

    In MJML every component stands on lines of its own, for the compiler drops what is between them. In HTML, and
    inside of what a component holds, lines are indented but none is broken or joined, since white space there is a
    space. Where white space counts (``pre``, captured text, a style that speaks of it) it stays. Only white space
    changes. Text and Markdown are not formatted, nor is what Jinja cannot read. It takes time by the source's length.
    """
    if form not in FORMATTED:
        return None
    unified = unify_newlines(source)
    mask = Mask(unified)
    try:
        masked = mask_jinja(ENVIRONMENTS[form], unified, mask)
    except TemplateSyntaxError:
        return None
    of_components = form == "mjml" and _COMPONENT.search(masked) is not None
    written = arranged(masked, mask) if of_components else indented(masked, mask)
    if written is None:
        return None
    result = mask.pattern.sub(lambda found: mask[int(found[1])].text, written).strip("\n") + "\n"
    same = _SPACE.sub("", result) == _SPACE.sub("", unified)
    return result if same and len(result.encode("utf-8", "surrogatepass")) <= SOURCE_BYTES else None
