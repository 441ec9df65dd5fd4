"""The layout that surrounds the HTML of Markdown and text: our own, or one of the service's."""

from collections.abc import Iterator
from functools import lru_cache

from jinja2 import Template, nodes

from backend.rendering.environments import HTML
from backend.rendering.faults import TemplateFault
from backend.rendering.locales import direction
from backend.rendering.masking import unify_newlines
from backend.rendering.model import NO_LAYOUT, Source
from backend.rendering.pages import CONTENT, TITLE
from backend.rendering.policy import references, walk
from backend.rendering.sandbox import Sandbox

_OURS, _BARE = "mail.html", "bare.html"
_OF_NO_FIELD = frozenset({"self", "super"})


def layout_of(source: Source) -> tuple[Template, bool]:
    """Return the layout with its blocks filled, those for title and content by marks; tell whether it reads any field.

    Raises:
        TemplateFault: for a layout that is not there in HTML, or has no place for the content.
    """
    partials = {one.name: unify_newlines(one.source) for one in source.partials if one.format == "html"}
    if source.layout is None or source.layout == NO_LAYOUT:
        return _ours(_OURS if source.layout is None else _BARE, source.language), False
    environment = HTML.with_library(partials)
    if source.layout not in partials:
        raise TemplateFault(f"the layout of these e-mails, '{source.layout}', is no layout in HTML")
    if "content" not in set(_blocks(environment, source.layout)):
        raise TemplateFault(f"the layout of these e-mails, '{source.layout}', has no block named 'content'")
    varies = any(_reads_a_field(node) for text in partials.values() for node in walk(environment.parse(text)))
    return _filled(environment, source.layout, source.language), varies


@lru_cache(maxsize=64)
def _ours(name: str, language: str) -> Template:
    return _filled(HTML, name, language)


def _filled(environment: Sandbox, name: str, language: str) -> Template:
    blocks = {"title": TITLE, "content": CONTENT, "language": language, "direction": direction(language)}
    filled = "".join(f"{{% block {block} %}}{text}{{% endblock %}}" for block, text in blocks.items())
    return environment.from_string(f"{{% extends '{name}' %}}{filled}")


def _blocks(environment: Sandbox, name: str, deepest: int = 10) -> Iterator[str]:
    """Yield the names of the blocks of a layout, and of those that it extends."""
    for node in walk(environment.parse(environment.library[name])):
        if isinstance(node, nodes.Block):
            yield node.name
        elif isinstance(node, nodes.Extends) and deepest:
            for one in references(node) or ():
                if one in environment.library:
                    yield from _blocks(environment, one, deepest - 1)


def _reads_a_field(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.ctx == "load" and node.name not in _OF_NO_FIELD
