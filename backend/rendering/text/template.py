"""The text alternative as a template of its own, derived once, so that no HTML need be read for each message.

For speed alone: without it a message takes six times as long to be rendered
(``python -m tests.benchmarks.devices text_without_html``).
"""

from functools import lru_cache
from typing import Any

from jinja2 import Template, nodes, pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from backend.rendering.jinja.environments import HTML, layouts
from backend.rendering.jinja.masking import Mask, mask_jinja
from backend.rendering.jinja.sandbox import Sandbox, printable
from backend.rendering.jinja.trees import walk
from backend.rendering.text.elements import NotDerivable
from backend.rendering.text.flow import flow_of_template
from backend.rendering.text.layout import BRACE, PREFORMATTED, clean, compact

_UNCERTAIN = (
    nodes.AssignBlock,
    nodes.CallBlock,
    nodes.FilterBlock,
    nodes.FromImport,
    nodes.Import,
    nodes.Include,
    nodes.Macro,
    nodes.ScopedEvalContextModifier,
)
# What these make of a value is HTML, or another thing when it is asked for again.
_UNCERTAIN_FILTERS = frozenset({"random", "safe", "urlize", "xmlattr"})


def derived(masked: str, mask: Mask) -> str | None:
    """Derive the template of the flowing text from one of HTML whose Jinja tokens are masked.

    Returns None where the text must wait for the rendered HTML.
    """
    try:
        flow = flow_of_template(_trimmed(masked, mask), mask)
    except NotDerivable:
        return None
    shorten = str if PREFORMATTED in flow else compact
    parts = mask.pattern.split(flow)
    pieces = []
    for literal, index in zip(parts[::2], [*parts[1::2], None], strict=True):
        pieces.append(shorten(literal).replace("{", BRACE))
        if index is not None:
            pieces.append(_without_trimming(mask[int(index)].text))
    return "".join(pieces)


@lru_cache(maxsize=256)
def flow_template(source: str) -> Template | None:
    """Compile a template of flowing text when its first message asks for it; None if it cannot stand for the HTML."""
    tree = FLOW.parse(source)
    return None if any(map(_is_uncertain, walk(tree))) else FLOW.from_string(tree)


def _is_uncertain(node: nodes.Node) -> bool:
    """Say whether a node prints what is flowing text already as if it were a value, or extends what is not there."""
    if isinstance(node, nodes.Extends):
        return not isinstance(node.template, nodes.Const) or node.template.value not in FLOW.library
    if isinstance(node, nodes.Filter) and node.name in _UNCERTAIN_FILTERS:
        return True
    return isinstance(node, _UNCERTAIN) or (isinstance(node, nodes.Name) and node.name in {"self", "super"})


def _trimmed(masked: str, mask: Mask) -> str:
    """Remove the white space that Jinja tokens ask to have removed, before tags between them are taken away."""
    parts = mask.pattern.split(masked)
    for position in range(1, len(parts), 2):
        token = mask[int(parts[position])].text
        if token[2] == "-":
            parts[position - 1] = parts[position - 1].rstrip()
        if token[-3] == "-":
            parts[position + 1] = parts[position + 1].lstrip()
        parts[position] = mask.placeholder(int(parts[position]))
    return "".join(parts)


def _without_trimming(token: str) -> str:
    start = f"{token[:2]} {token[3:]}" if token[2] in "-+" else token
    return f"{start[:-3]} {start[-2:]}" if start[-3] in "-+" else start


@pass_eval_context
def _plain(context: EvalContext, value: Any) -> Markup:
    """Print a value as it is, but for control characters, which could pass for marks of the layout."""
    if type(value) is not str:
        value = printable(context, value)
        value = value.unescape() if isinstance(value, Markup) else str(value)
    # Never shown as HTML; str.__new__ spares the look for __html__, which a str has not.
    return str.__new__(Markup, value if value.isprintable() else clean(value))


def _derived_layouts() -> dict[str, str]:
    found: dict[str, str] = {}
    for name, html in layouts(".html").items():
        mask = Mask(html)
        flow = derived(mask_jinja(HTML, html, mask), mask)
        if flow is not None:
            found[name] = flow
    return found


FLOW = Sandbox(autoescape=True, keep_trailing_newline=True, finalize=_plain, library=_derived_layouts())
