"""Every address of the template pages."""

from backend.portal.templates_pages import editor, history, listing, publishing, uploads

ROUTES = [*listing.ROUTES, *editor.ROUTES, *uploads.ROUTES, *publishing.ROUTES, *history.ROUTES]
