"""Templates that are published anew together: how each looks before and after, in frames of their own."""

from collections.abc import Sequence

from backend.db import database as db
from backend.portal.access import Workspace
from backend.publishing.publish import Change
from backend.registry import drafts, previews
from backend.registry.drafts import Key
from backend.rendering.model import Rendered

# Of each editor's previews the newest eight are kept.
_MOST = 4


def frames(workspace: Workspace, changes: Sequence[Change]) -> dict[str, tuple[str, str]]:
    """Keep the HTML of the first templates that look different; return the addresses of both by the identifier."""
    found: dict[str, tuple[str, str]] = {}
    shown = [one for one in changes if one.before and one.after and one.before.html != one.after.html][:_MOST]
    if not shown:
        return found
    with db.current().transaction() as transaction:
        for one in shown:
            template_id = drafts.working(transaction, Key(workspace.service_id, one.identifier)).template_id
            address = workspace.address(f"templates/{one.identifier}/preview")
            sides = [_html(side) for side in (one.before, one.after)]
            for html in sides:
                previews.keep(transaction, workspace.viewer.user_id, template_id, html)
            before, after = (f"{address}/{previews.digest(html)}" for html in sides)
            found[one.identifier] = (before, after)
    return found


def _html(side: Rendered | None) -> str:
    return (side.html if side else None) or ""
