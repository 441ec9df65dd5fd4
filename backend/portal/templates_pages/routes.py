"""Every address of the template pages."""

from backend.portal.templates_pages import (
    as_code,
    duplicating,
    editor,
    frames,
    history,
    listing,
    pictures,
    publishing,
    uploads,
    words,
)

ROUTES = [
    *listing.ROUTES,
    *words.ROUTES,
    *pictures.ROUTES,
    *editor.ROUTES,
    *frames.ROUTES,
    *uploads.ROUTES,
    *duplicating.ROUTES,
    *publishing.ROUTES,
    *history.ROUTES,
    *as_code.ROUTES,
]
