"""Jobs: the list, one with its progress and its faulty rows, and what people do to it."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Template

from backend.branding import logos
from backend.db import database as db
from backend.jobs import control, preview, queries
from backend.jobs.queries import JobReport
from backend.lib import clock, inputs
from backend.lib.problems import Problem
from backend.portal import access, live
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import Page, go, page
from backend.portal.security import MESSAGE_POLICY

_EDITORS = [access.editors]
# PostgreSQL counts the rows of a sheet in 32 bits.
_LAST_ROW = 2**31 - 1


@get("/jobs", sync_to_thread=True)
def index(workspace: NamedDependency[Workspace], before: FromQuery[int | None] = None) -> Page:
    """Show a page of the list."""
    return page("jobs/index.html", workspace.viewer, current="jobs", workspace=workspace, **_list(workspace, before))


@get("/jobs/list", guards=[live.inside_its_page], sync_to_thread=True)
def refresh(
    workspace: NamedDependency[Workspace], before: FromQuery[int | None] = None, latest: FromQuery[str] = ""
) -> Response[Any]:
    """Answer the list's own refresh: nothing (204) while it shows what is so."""
    context = _list(workspace, before)
    if latest == context["latest"]:
        return Response(None, status_code=204)
    return Template("jobs/_list.html", context=context | {"workspace": workspace}, media_type="text/html")


def _list(workspace: Workspace, before: int | None) -> dict[str, Any]:
    """Describe the list, the same way for the page and for its refresh."""
    behind = inputs.bounded(before)
    with db.current().read() as reading:
        found, more = queries.page(reading, workspace.service_id, behind)
    latest = live.mark([(one.id, one.state, one.counts) for one in found])
    return {
        "jobs": found,
        "latest": latest,
        "moving": any(one.moving for one in found),
        "refresh": workspace.address("jobs/list", before=before, latest=latest),
        "newest": None if before is None else workspace.address("jobs"),
        "older": workspace.address("jobs", before=more) if more is not None else None,
    }


@get("/jobs/{job_id:int}", sync_to_thread=True)
def show(
    workspace: NamedDependency[Workspace],
    job_id: FromPath[int],
    row: FromQuery[int | None] = None,
    after: FromQuery[str] = "",
) -> Page:
    """Show one job."""
    return _show(workspace, _find(workspace, job_id), Faults(), row=row, after=after)


def _show(  # noqa: PLR0913 - what the page shows, each named at the call
    workspace: Workspace,
    job: JobReport,
    faults: Faults,
    *,
    row: int | None = None,
    after: str = "",
    given: str = "",
) -> Page:
    shown = job.state in {"checking", "checked", "scheduled"}
    first = preview.first_rows(workspace.service_id, job.id) if shown else []
    good = [one.number for one in first if one.fault is None]
    chosen = row if row in good else next(iter(good), None)
    own = f"jobs/{job.id}"
    return page(
        "jobs/show.html",
        workspace.viewer,
        current="jobs",
        workspace=workspace,
        status_code=faults.status,
        faults=faults,
        first=first,
        chosen=chosen,
        rendition=workspace.address(f"{own}/rows/{chosen}") if chosen else None,
        now=clock.now(),
        furthest=clock.now() + control.FURTHEST,
        given=given,
        **_state(workspace, job, after),
    )


@get("/jobs/{job_id:int}/state", guards=[live.inside_its_page], sync_to_thread=True)
def refresh_one(
    workspace: NamedDependency[Workspace],
    job_id: FromPath[int],
    latest: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Response[Any]:
    """Answer the job's own refresh: nothing (204) while it shows what is so; the whole page when its check is over."""
    job = _find(workspace, job_id)
    context = _state(workspace, job, after)
    if latest == context["latest"]:
        return Response(None, status_code=204)
    if job.state == "checked":
        return Response(None, headers={"HX-Refresh": "true"})
    return Template("jobs/_state.html", context=context | {"workspace": workspace}, media_type="text/html")


def _state(workspace: Workspace, job: JobReport, after: str) -> dict[str, Any]:
    """Describe the state of a job, the same way for the page and for its refresh."""
    cursor = _cursor_of_fault(after)
    with db.current().read() as reading:
        faulty = queries.faults(reading, job.id, cursor, queries.FAULTS_A_PAGE + 1)
    shown = faulty[: queries.FAULTS_A_PAGE]
    own = workspace.address(f"jobs/{job.id}")
    sheet = job.sheet
    latest = live.mark(
        job.state,
        job.counts,
        [(one.row, one.id) for one in shown],
        sheet and (sheet.next_row, sheet.position, sheet.note),
    )
    more = f"{shown[-1].row}.{shown[-1].id}" if len(faulty) > len(shown) else None
    return {
        "job": job,
        "sheet": sheet,
        "own": own,
        "faulty": shown,
        "first_faults": workspace.address(f"jobs/{job.id}") if cursor != (0, 0) else None,
        "more_faults": workspace.address(f"jobs/{job.id}", after=more) if more else None,
        "latest": latest,
        "refresh": workspace.address(f"jobs/{job.id}/state", latest=latest, after=after or None),
    }


def _cursor_of_fault(text: str) -> tuple[int, int]:
    row, _, identity = text.partition(".")
    number, last = inputs.number(row, _LAST_ROW), inputs.number(identity)
    return (0, 0) if number is None or last is None else (number, last)


def _find(workspace: Workspace, job_id: int) -> JobReport:
    with db.current().read() as reading:
        found = queries.one(reading, workspace.service_id, job_id)
    if found is None:
        raise NotFoundException
    return found


@get("/jobs/{job_id:int}/rows/{row:int}", sync_to_thread=True)
def message(workspace: NamedDependency[Workspace], job_id: FromPath[int], row: FromPath[int]) -> Response[str]:
    """Serve the message of one of the first rows for the sandboxed frame."""
    try:
        made = preview.message(workspace.service_id, _find(workspace, job_id).id, row)
    except Problem as problem:
        return _framed(problem.detail, "text/plain")
    if made is None:
        raise NotFoundException
    return (
        _framed(logos.embedded(made.html), "text/html") if made.html is not None else _framed(made.text, "text/plain")
    )


def _framed(text: str, media_type: str) -> Response[str]:
    return Response(text, media_type=media_type, headers={"Content-Security-Policy": MESSAGE_POLICY})


class SendForm(msgspec.Struct):
    """When to send: ``now``, or ``later`` at a moment in UTC as browsers write it, ``2026-03-02T09:30``."""

    when: str = "now"
    at: str = ""


@post("/jobs/{job_id:int}/send", guards=_EDITORS, status_code=200, sync_to_thread=True)
def send(workspace: NamedDependency[Workspace], job_id: FromPath[int], data: Sent[SendForm]) -> Response[Any]:
    """Send the rows that are right, now or later."""
    job = _find(workspace, job_id)
    faults = Faults()
    moment = _moment(data.at, faults) if data.when == "later" else None
    if not faults:
        with faults.on("at"):
            control.send(workspace.service_id, job.id, moment, workspace.actor)
    if faults:
        return _show(workspace, job, faults, given=data.at)
    done = "It is sent at the time you have chosen." if moment else "The messages are on their way."
    return go(workspace.address(f"jobs/{job.id}"), done)


def _moment(text: str, faults: Faults) -> datetime | None:
    found = inputs.moment(text)
    if found is None:
        faults.add("at", "Choose a day and a time.")
    return found


@post("/jobs/{job_id:int}/stop", guards=_EDITORS, status_code=200, sync_to_thread=True)
def stop(workspace: NamedDependency[Workspace], job_id: FromPath[int]) -> Response[Any]:
    """Stop a job."""
    control.stop(workspace.service_id, job_id, workspace.actor)
    return go(workspace.address(f"jobs/{job_id}"), "Stopped: what was not handed over yet is not sent.")


@post("/jobs/{job_id:int}/again", guards=_EDITORS, status_code=200, sync_to_thread=True)
def again(workspace: NamedDependency[Workspace], job_id: FromPath[int]) -> Response[Any]:
    """Send again what has failed."""
    control.again(workspace.service_id, job_id, workspace.actor)
    return go(workspace.address(f"jobs/{job_id}"), "What has failed is queued again.")


ROUTES = [index, refresh, show, refresh_one, message, send, stop, again]
