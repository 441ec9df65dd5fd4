"""One environment for each kind of output, made once."""

from typing import Any

from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext

from backend.lib import resources
from backend.rendering.jinja.sandbox import Sandbox, printable
from backend.rendering.markdown import written
from backend.rendering.model import Format

LIBRARY = resources.folder("notification_templates")


@pass_eval_context
def _finalize_markdown(context: EvalContext, value: Any) -> Any:
    value = printable(context, value)
    return value if hasattr(value, "__html__") else written(str(value))


def layouts(suffix: str) -> dict[str, str]:
    """Return the layouts of one format by their names."""
    paths = sorted((LIBRARY / "layouts").glob(f"*{suffix}"))
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


_TIDY: dict[str, Any] = {"keep_trailing_newline": True, "trim_blocks": True, "lstrip_blocks": True}
HTML = Sandbox(autoescape=True, keep_trailing_newline=True, library=layouts(".html"))
MJML = Sandbox(autoescape=True, keep_trailing_newline=True)
TEXT = Sandbox(library=layouts(".txt"), **_TIDY)
# Marked-up values pass unescaped, as in HTML; finalize does the escaping that the format needs.
MARKDOWN = Sandbox(autoescape=True, finalize=_finalize_markdown, **_TIDY)
SUBJECT = Sandbox(keep_trailing_newline=True)

ENVIRONMENTS: dict[Format, Sandbox] = {"mjml": MJML, "html": HTML, "text": TEXT, "markdown": MARKDOWN}
