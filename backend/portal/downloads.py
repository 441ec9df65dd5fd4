"""Lists to take away, with their filters as they stand: as CSV or as a workbook, written as their rows come."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from backend.corrections import report
from backend.db import database as db
from backend.jobs import exports as job_exports
from backend.jobs import queries
from backend.lib import clock, tables
from backend.portal import notifications, recipients
from backend.portal.access import Workspace
from backend.registry import address_ids
from backend.reports import exports
from backend.reports.exports import Table

_AnyRequest = Request[Any, Any, Any]
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def of_notifications(workspace: NamedDependency[Workspace], request: _AnyRequest) -> Stream:
    """Give the notifications that fit the filters of the list."""
    asked = notifications.read(request.query_params)
    return as_file(request, exports.notifications(workspace.service_id, asked.wanted), "notifications")


def of_list(name: str, give: Callable[[int], Table]) -> Callable[..., Stream]:
    """Make what gives a list of a service, which whoever sees its page may have."""

    def answer(workspace: NamedDependency[Workspace], request: _AnyRequest) -> Stream:
        return as_file(request, give(workspace.service_id), name)

    return answer


def of_address(workspace: NamedDependency[Workspace], request: _AnyRequest, name: FromPath[str]) -> Stream:
    """Give what was sent to an address; the file does not have it in its name."""
    wanted = address_ids.opened(workspace.service_id, name)
    return as_file(request, exports.sent_to(workspace.service_id, wanted), "messages-to-an-address")


def of_failures(workspace: NamedDependency[Workspace], request: _AnyRequest, key: FromPath[str]) -> Stream:
    """Give what fails for one reason."""
    return as_file(request, _found(exports.failures(workspace.service_id, key)), "failures")


def of_sent_again(workspace: NamedDependency[Workspace], request: _AnyRequest, uid: FromPath[UUID]) -> Stream:
    """Give what was sent again, and what has become of it."""
    return as_file(request, _found(report.as_table(workspace.service_id, uid)), "sent-again")


def _found(table: Table | None) -> Table:
    if table is None:
        raise NotFoundException
    return table


@get("/recipients.xlsx", sync_to_thread=True)
def of_recipients(workspace: NamedDependency[Workspace], request: _AnyRequest, q: FromQuery[str] = "") -> Stream:
    """Give the recipients of a search as a workbook; the CSV, which can be imported again, is one of its own."""
    return as_file(request, exports.recipients(workspace.service_id, recipients.searched(q)), "recipients")


def of_templates(
    workspace: NamedDependency[Workspace], request: _AnyRequest, q: FromQuery[str] = "", form: FromQuery[str] = ""
) -> Stream:
    """Give the templates that fit the filters of the list."""
    return as_file(request, exports.templates(workspace.service_id, q, form), "templates")


def of_job(workspace: NamedDependency[Workspace], request: _AnyRequest, job_id: FromPath[int]) -> Stream:
    """Give what became of each message of a job."""
    _check_job(workspace, job_id)
    return as_file(request, job_exports.results(workspace.service_id, job_id), f"job-{job_id}-results")


def of_faulty_rows(workspace: NamedDependency[Workspace], request: _AnyRequest, job_id: FromPath[int]) -> Stream:
    """Give every faulty row's number, column and reason."""
    _check_job(workspace, job_id)
    return as_file(request, job_exports.faulty_rows(job_id), f"job-{job_id}-faulty-rows")


def _check_job(workspace: Workspace, job_id: int) -> None:
    with db.current().read() as reading:
        if queries.one(reading, workspace.service_id, job_id) is None:
            raise NotFoundException


def as_file(request: _AnyRequest, table: Table, name: str) -> Stream:
    """Answer with a file of the kind that the address ends in."""
    as_workbook = request.url.path.endswith(".xlsx")
    ending, kind = ("xlsx", _XLSX) if as_workbook else ("csv", "text/csv")
    headers = {
        "Content-Disposition": f'attachment; filename="{name}-{clock.today().isoformat()}.{ending}"',
        "Cache-Control": "no-store",
    }
    pieces = (tables.xlsx_pieces if as_workbook else tables.csv_pieces)(table.columns, table.rows)
    return Stream(pieces, media_type=kind, headers=headers)


def as_both(path: str, answer: Callable[..., Stream]) -> list[HTTPRouteHandler]:
    """Make the two addresses of a list, each a handler of its own."""
    return [get(f"{path}.{ending}", sync_to_thread=True)(answer) for ending in ("csv", "xlsx")]


_LISTS: Mapping[str, tuple[str, Callable[[int], Table]]] = {
    "/suppressions": ("suppressed-addresses", exports.suppressed),
    "/batches": ("batches", exports.batches),
    "/outbox": ("outbox", lambda service_id: exports.outbox((service_id,))),
    "/jobs": ("jobs", job_exports.listed),
    "/clients": ("api-clients", exports.api_clients),
    "/team": ("team", exports.team),
    "/policies": ("policies", exports.policies),
    "/worklist": ("worklist", exports.worklist),
}

ROUTES = [
    of_recipients,
    *as_both("/notifications", of_notifications),
    *as_both("/templates", of_templates),
    *(handler for path, (name, give) in _LISTS.items() for handler in as_both(path, of_list(name, give))),
    *as_both("/addresses/{name:str}/messages", of_address),
    *as_both("/failures/{key:str}/messages", of_failures),
    *as_both("/sent-again/{uid:uuid}/messages", of_sent_again),
    *as_both("/jobs/{job_id:int}/results", of_job),
    *as_both("/jobs/{job_id:int}/faults", of_faulty_rows),
]
