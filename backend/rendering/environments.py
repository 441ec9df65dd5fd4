"""One environment for each kind of output, made once."""

import re
from pathlib import Path
from typing import Any

from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from backend.rendering.model import Format
from backend.rendering.sandbox import Sandbox, printable

LIBRARY = Path(__file__).parents[2] / "notification_templates"
# CommonMark 0.31, with strikethrough: what begins inline structure anywhere, and a block at the start of a line.
_INLINE = re.compile(r"\\(?=[!-/:-@\[-`{-~])|[`*\[\]]|<(?=[A-Za-z/!?])|(?<![^\W_])_|_(?![^\W_])|~(?=~)|(?<=~)~")
_BLOCK = re.compile(
    r"^[ \t]*(#{1,6}(?=[ \t]|$)|>|[+-](?=[ \t]|$)|[-=]+(?=[ \t]*$)|~{3,}|\d{1,9}(?=[.)](?:[ \t]|$)))", re.MULTILINE
)


def escape_markdown(text: str) -> str:
    """Escape a value so that CommonMark shows it as it is; identifiers with inner underscores stay untouched."""
    return _BLOCK.sub(_escape_block, _INLINE.sub(r"\\\g<0>", text))


def _escape_block(match: re.Match[str]) -> str:
    mark = match.group(1)
    # A digit cannot be escaped, so the list mark after it is; the indent goes, since it could make a code block.
    return f"\\{mark}" if not mark.isdigit() else mark + "\\"


@pass_eval_context
def _finalize_markdown(context: EvalContext, value: Any) -> Any:
    value = printable(context, value)
    return value if hasattr(value, "__html__") else Markup(escape_markdown(str(value)))  # noqa: S704 - text, escaped


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
