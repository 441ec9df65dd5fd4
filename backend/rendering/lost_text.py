"""What a template that extends a layout says outside of its blocks, where nobody would ever read it."""

import re
from collections.abc import Iterator

from jinja2 import nodes

from backend.rendering.model import Format, TemplateWarning

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_BEFORE = (
    "This comes before the layout, so it is written before the whole page: put it into a block, or behind"
    " {% extends %} to leave it out."
)
_LOST = "This stands outside of the blocks and is left out, since the template extends a layout: put it into a block."
# What gives values and macros, and writes nothing.
_SILENT = (nodes.Assign, nodes.AssignBlock, nodes.Block, nodes.FromImport, nodes.Import, nodes.Macro)


def outside_of_blocks(tree: nodes.Template, form: Format) -> Iterator[TemplateWarning]:
    """Yield a warning for each piece outside of the blocks, with its line.

    Jinja writes what comes before ``extends``, but in MJML, where the layout is put in first.
    """
    extends = next((place for place, node in enumerate(tree.body) if isinstance(node, nodes.Extends)), None)
    if extends is None:
        return
    told = False
    for place, node in enumerate(tree.body):
        if isinstance(node, (nodes.Block, nodes.Extends)):
            told = False
        left_out = form == "mjml" and isinstance(node, nodes.Macro)  # which no MJML begins with
        line = None if told else node.lineno if left_out else _line(node)
        if line is not None:
            told = True
            detail = _BEFORE if place < extends and form != "mjml" else _LOST
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
