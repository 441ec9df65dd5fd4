"""How large a message may be before mail programs cut it."""

from jinja2 import nodes

from backend.rendering.limits import CLIPPED_BYTES
from backend.rendering.model import Rendered, TemplateWarning


def clipped(rendered: Rendered) -> list[TemplateWarning]:
    """Warn where mail programs would cut the message."""
    return _told(_bytes(rendered.html or ""), "")


def always_clipped(fixed: int) -> list[TemplateWarning]:
    """Warn where they would cut every message of a template, of which so many bytes are written in any case."""
    return _told(fixed, "at least ")


def fixed_bytes(tree: nodes.Template) -> int:
    """Count what a template writes whatever the fields are; call it before the tree is compiled."""
    extends = any(isinstance(node, nodes.Extends) for node in tree.body)
    return sum(_fixed(node) for node in tree.body if not extends or isinstance(node, nodes.Block))


def _fixed(node: nodes.Node) -> int:
    if isinstance(node, nodes.TemplateData):
        return _bytes(node.data)
    if isinstance(node, (nodes.Block, nodes.Output, nodes.With)):
        return sum(map(_fixed, node.iter_child_nodes()))
    return 0


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _told(size: int, least: str) -> list[TemplateWarning]:
    if size <= CLIPPED_BYTES:
        return []
    detail = f"The HTML of the message has {least}{size // 1024} KB; Gmail hides what comes after 102 KB."
    return [TemplateWarning(None, "clipped", detail)]
