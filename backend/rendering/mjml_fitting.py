"""Makes compiled MJML fit to send: no more bytes than it needs, since mail programs cut long messages off."""

import re

# Where white space counts, or may count by a style sheet.
_KEEPS_SPACE = re.compile(r"<pre\b|<textarea\b|white-space", re.IGNORECASE)
_ADJACENT = "<![endif]--><!--[if mso | IE]>"


def minified(html: str, placeholder: str) -> str:
    """Join conditional comments that follow each other, and drop indentation and blank lines where none shows.

    ``placeholder`` is how the stand-ins of Jinja tokens begin. What is not followed by one of them or by a tag stays,
    since it may stand inside of an attribute.
    """
    html = html.replace(_ADJACENT, "")
    return html if _KEEPS_SPACE.search(html) else re.sub(rf"[ \t]*\n[ \t\n]*(?=<|{placeholder})", "\n", html)
