"""Makes compiled MJML fit to send: no more bytes than it needs, since mail programs cut long messages off."""

import re

from backend.rendering.masking import ANY_PLACEHOLDER

# Where white space counts, or may count by a style sheet.
_KEEPS_SPACE = re.compile(r"<pre\b|<textarea\b|white-space", re.IGNORECASE)
_INDENTATION = re.compile(rf"[ \t]*\n[ \t\n]*(?=<|{ANY_PLACEHOLDER})")
_ADJACENT = "<![endif]--><!--[if mso | IE]>"


def minified(html: str) -> str:
    """Join conditional comments that follow each other, and drop indentation and blank lines where none shows.

    What is followed neither by the placeholder of a Jinja token nor by a tag stays, since it may stand inside of an
    attribute.
    """
    html = html.replace(_ADJACENT, "")
    return html if _KEEPS_SPACE.search(html) else _INDENTATION.sub("\n", html)
