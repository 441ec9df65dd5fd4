"""The text alternative of an HTML message."""

from backend.rendering.text_flow import flow
from backend.rendering.text_layout import lay_out


def text_alternative(html: str) -> str:
    """Write an HTML message as text: links with their addresses, images by their alt text, tables as lines."""
    return lay_out(flow(html))
