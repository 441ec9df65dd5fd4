"""The audit log of a service: filtered, in pages, and to take away; that of the whole installation is shown alike."""

from typing import Any

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.response import Stream

from backend.accounts import audit_log
from backend.accounts.audit_log import Filter
from backend.db import database as db
from backend.lib import inputs
from backend.portal import downloads
from backend.portal.access import Workspace
from backend.portal.pages import Page, page
from backend.reports import exports


class Wanted(msgspec.Struct, frozen=True):
    """The filters as they stand in the address bar; a day that is none counts as not given."""

    actor: str = ""
    action: str = ""
    first: str = ""
    last: str = ""

    def filter(self, service_id: int | None) -> Filter:
        """Return what the log is asked."""
        days = inputs.day(self.first), inputs.day(self.last)
        actor, action = self.actor.strip()[:254], self.action[:40]
        return Filter(service_id=service_id, actor=actor, action=action, first_day=days[0], last_day=days[1])


@get("/audit", sync_to_thread=True)
def of_service(request: Request[Any, Any, Any], workspace: NamedDependency[Workspace]) -> Page:
    """Show what was changed in the service, by whom and when."""
    context = context_of(request, workspace.service_id)
    return page(
        "audit/index.html",
        workspace.viewer,
        current="audit",
        workspace=workspace,
        base=workspace.address("audit"),
        **context,
    )


def of_service_as_file(request: Request[Any, Any, Any], workspace: NamedDependency[Workspace]) -> Stream:
    """Give all entries of the filter."""
    return downloads.as_file(request, exports.audit_log(wanted_by(request).filter(workspace.service_id)), "audit")


def wanted_by(request: Request[Any, Any, Any]) -> Wanted:
    """Read the filters of the address bar."""
    return Wanted(**{name: str(request.query_params.get(name, "")) for name in Wanted.__struct_fields__})


def context_of(request: Request[Any, Any, Any], service_id: int | None) -> dict[str, Any]:
    """Read what the address bar asks for: a page of a service's log, or of the installation's."""
    wanted = wanted_by(request)
    before, after = (inputs.number(request.query_params.get(name, "")) for name in ("before", "after"))
    with db.current().read() as reading:
        found = audit_log.page(reading, wanted.filter(service_id), before=before, after=after)
        actions = audit_log.actions(reading, service_id)
    kept = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value}
    paged = before is not None or after is not None
    return {"wanted": wanted, "found": found, "actions": actions, "kept": kept, "paged": paged}


ROUTES = [of_service, *downloads.as_both("/audit", of_service_as_file)]
