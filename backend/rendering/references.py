"""Which partials and layouts a template names."""

from jinja2 import TemplateSyntaxError

from backend.rendering.jinja.environments import ENVIRONMENTS
from backend.rendering.jinja.masking import unify_newlines
from backend.rendering.jinja.trees import references, walk
from backend.rendering.limits import SOURCE_BYTES
from backend.rendering.mjml.assembly import included
from backend.rendering.model import Source


def named(source: Source) -> list[str]:
    """Return the names that a template includes, imports or extends, each once; none for one that cannot be read."""
    text = unify_newlines(source.source)
    found = list(included(text)) if source.format == "mjml" else []
    if len(text) <= SOURCE_BYTES and "{%" in text:
        try:
            found += [name for node in walk(ENVIRONMENTS[source.format].parse(text)) for name in references(node) or ()]
        except (TemplateSyntaxError, RecursionError):
            return list(dict.fromkeys(found))
    return list(dict.fromkeys(found))
