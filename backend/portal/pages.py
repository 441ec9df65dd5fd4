"""What every portal page is given: its template, who looks at it, and the entries of the sidebar."""

from typing import Any, NamedTuple

from litestar.response import Template

from backend.accounts.sessions import Viewer


class Entry(NamedTuple):
    """One entry of the sidebar; ``icon`` is a name of ``components/icon.html``."""

    name: str
    label: str
    address: str
    icon: str


_MAIN = (
    Entry("home", "Home", "/portal", "home"),
    Entry("outbox", "Outbox", "/portal/outbox", "outbox"),
)
_BELOW = (
    Entry("docs", "API documentation", "/docs", "book"),
    Entry("errors", "Error catalogue", "/docs/errors", "warning"),
)


def page(
    template: str,
    viewer: Viewer | None,
    *,
    current: str = "",
    home: str = "",
    status_code: int = 200,
    **context: Any,
) -> Template:
    """Make a page from a template of ``portal_templates``.

    ``current`` names the sidebar entry that the page belongs to. Whoever is not signed in sees that entry alone, and
    it leads to ``home``, the address with the key that let them in.
    """
    main = _MAIN if viewer else tuple(entry._replace(address=home) for entry in _MAIN if entry.name == current)
    common = {"viewer": viewer, "current": current, "entries": main, "entries_below": _BELOW}
    return Template(template, context=common | context, status_code=status_code, media_type="text/html")
