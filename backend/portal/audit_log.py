"""The audit log of a service, and of the whole installation: filtered, in pages, and as CSV."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.response import Stream

from backend.accounts import audit_log
from backend.accounts.audit_log import Filter
from backend.accounts.sessions import Viewer
from backend.db import session
from backend.lib import clock, inputs
from backend.portal.access import Place
from backend.portal.admin.tabs import ADMIN, admin_page
from backend.portal.pages import Page, page

_ADMIN = f"{ADMIN}/audit"
_COLUMNS = ("at", "who", "kind", "action", "subject", "detail")
# Spreadsheets run a cell that begins so.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


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
def of_service(request: Request[Any, Any, Any], place: NamedDependency[Place]) -> Page:
    """Show what was changed in the service, by whom and when."""
    context = _context(request, place.service_id)
    return page("audit/index.html", place.viewer, current="audit", place=place, base=place.address("audit"), **context)


@get("/audit.csv", sync_to_thread=True)
def of_service_as_csv(request: Request[Any, Any, Any], place: NamedDependency[Place]) -> Stream:
    """Give all entries of the filter as CSV (RFC 4180)."""
    return _export(_wanted(request).filter(place.service_id))


@get("/admin/audit", sync_to_thread=True)
def of_all(request: Request[Any, Any, Any], viewer: NamedDependency[Viewer]) -> Page:
    """Show what was changed in the whole installation."""
    return admin_page("audit", viewer, "audit", base=_ADMIN, **_context(request, None))


@get("/admin/audit.csv", sync_to_thread=True)
def of_all_as_csv(request: Request[Any, Any, Any]) -> Stream:
    """Give all entries of the filter as CSV (RFC 4180)."""
    return _export(_wanted(request).filter(None))


def _wanted(request: Request[Any, Any, Any]) -> Wanted:
    """Read the filters of the address bar."""
    return Wanted(**{name: str(request.query_params.get(name, "")) for name in Wanted.__struct_fields__})


def _context(request: Request[Any, Any, Any], service_id: int | None) -> dict[str, Any]:
    wanted = _wanted(request)
    before, after = (inputs.number(request.query_params.get(name, "")) for name in ("before", "after"))
    with session.current().read() as reading:
        found = audit_log.page(reading, wanted.filter(service_id), before=before, after=after)
        actions = audit_log.actions(reading, service_id)
    kept = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value}
    paged = before is not None or after is not None
    return {"wanted": wanted, "found": found, "actions": actions, "kept": kept, "paged": paged}


def _export(wanted: Filter) -> Stream:
    name = f"audit-{clock.today().isoformat()}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Stream(_lines(wanted), media_type="text/csv", headers=headers)


def _lines(wanted: Filter) -> Iterator[str]:
    with session.current().read() as reading:
        yield _line(_COLUMNS)
        for entry in audit_log.everything(reading, wanted):
            detail = json.dumps(entry.detail, ensure_ascii=False) if entry.detail else ""
            yield _line((clock.iso(entry.at), entry.actor, entry.actor_kind, entry.action, entry.subject, detail))


def _line(cells: tuple[str, ...]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return written.getvalue()


ROUTES = [of_service, of_service_as_csv]
ADMIN_ROUTES = [of_all, of_all_as_csv]
