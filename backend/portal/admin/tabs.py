"""What the administration's pages have in common: their tabs."""

from typing import Any

from backend.accounts.sessions import Viewer
from backend.portal.pages import Page, page

ADMIN = "/portal/admin"
_TABS = (
    ("services", "Services"),
    ("organisations", "Organisations"),
    ("users", "Users"),
    ("groups", "Groups"),
    ("providers", "Providers"),
    ("mail", "Mail domains"),
    ("doctor", "Doctor"),
    ("audit", "Audit log"),
)


def admin_page(template: str, viewer: Viewer, tab: str, *, status_code: int = 200, **context: Any) -> Page:
    """Make a page under one of the tabs."""
    tabs = [(label, f"{ADMIN}/{name}", name == tab) for name, label in _TABS]
    return page(f"admin/{template}.html", viewer, current="admin", status_code=status_code, tabs=tabs, **context)
