"""How large a message may be before mail programs cut it."""

from backend.rendering.limits import CLIPPED_BYTES
from backend.rendering.model import Rendered, TemplateWarning


def clipped(rendered: Rendered) -> list[TemplateWarning]:
    """Warn where mail programs would cut the message."""
    size = len((rendered.html or "").encode("utf-8", "replace"))
    if size <= CLIPPED_BYTES:
        return []
    detail = f"The HTML of the message has {size // 1024} KB; Gmail hides what comes after 102 KB."
    return [TemplateWarning(None, "clipped", detail)]
