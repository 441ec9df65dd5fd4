"""The title of an HTML message, which browsers and screen readers announce: the author's, else its subject."""

from markupsafe import escape

from backend.rendering.model import Rendered

_EMPTY = "<title></title>"
_NO_SUBJECT = "Notification"


def titled(html: str, subject: str | None) -> str:
    """Give a message without a title its subject for one."""
    return html.replace(_EMPTY, _title(subject), 1)


def html_with(rendered: Rendered, subject: str | None) -> str | None:
    """Return the HTML as it goes out under a subject, which may be another than that of the template."""
    html = rendered.html
    if html is None or not subject or subject == rendered.subject:
        return html
    return html.replace(_title(rendered.subject), _title(subject), 1)


def _title(subject: str | None) -> str:
    return f"<title>{escape(subject or _NO_SUBJECT)}</title>"
