"""Recipients as CSV: given out, and taken in after a look at what the file would do, as a whole or not at all."""

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Stream

from backend.accounts import audit
from backend.db import database as db
from backend.lib import clock, languages, settings
from backend.lib.problems import Problem
from backend.portal import access, recipients
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Uploaded
from backend.portal.pages import Page, go, page
from backend.registry import csv_recipients
from backend.registry.csv_recipients import Plan


class ImportForm(msgspec.Struct, kw_only=True):
    """A file, or its text; ``seen`` marks the plan that the person has looked at."""

    file: UploadFile | None = None
    text: str = ""
    seen: str = ""


@get("/recipients.csv", sync_to_thread=True)
def export(workspace: NamedDependency[Workspace], q: FromQuery[str] = "") -> Stream:
    """Give the recipients of a search as CSV."""
    name = f"recipients-{clock.today().isoformat()}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Stream(lines(workspace.service_id, recipients.searched(q)), media_type="text/csv", headers=headers)


def lines(service_id: int, text: str) -> Iterator[str]:
    """Yield the lines of those recipients of a service that hold a text, a few at a time in memory."""
    with db.current().read() as reading:
        yield from csv_recipients.write(reading, service_id, text)


@get("/recipients/import", guards=[access.editors], sync_to_thread=True)
def ask(workspace: NamedDependency[Workspace]) -> Page:
    """Ask for a file."""
    return _page(workspace, "", None, Faults())


@post("/recipients/import", guards=[access.editors], sync_to_thread=True)
def take(workspace: NamedDependency[Workspace], data: Uploaded[ImportForm]) -> Response[Any]:
    """Show what a file would do; do it once that was seen, if it is still the same."""
    faults = Faults()
    text, plan = data.text, None
    with faults.on("file"):
        text = _text(data)
        with db.current().read() as reading:
            plan = csv_recipients.plan(reading, workspace.service_id, text, settings.current().outbound_allow)
    if plan is None or plan.faults or not plan.changes:
        if plan is not None and not plan.faults:
            faults.add("file", "The file holds no recipients.")
        return _page(workspace, text, plan, faults)
    if data.seen != _mark(plan):
        return _page(workspace, text, plan, faults, changed=bool(data.seen))
    with faults.on("file"), db.current().transaction() as transaction:
        done = csv_recipients.apply(transaction, workspace.service_id, plan)
        for change in done:
            action = "recipient.made" if change.kind == "new" else "recipient.changed"
            audit.record(
                transaction,
                workspace.actor,
                action,
                change.identifier,
                service_id=workspace.service_id,
                detail={"by": "CSV import"},
            )
    if faults:
        return _page(workspace, text, plan, faults)
    many = "1 recipient is" if len(done) == 1 else f"{len(done):,} recipients are"
    return go(workspace.address("recipients"), f"{many} imported.")


def _text(data: ImportForm) -> str:
    if data.file is not None and data.file.filename:
        return csv_recipients.decoded(data.file.file.read(csv_recipients.MAX_BYTES + 1))
    if not data.text.strip():
        raise Problem("invalid_value", "Choose the file, or paste its lines.")
    return csv_recipients.decoded(data.text.encode())


def _mark(plan: Plan) -> str:
    return hashlib.sha256(msgspec.json.encode(plan)).hexdigest()


def _page(workspace: Workspace, text: str, plan: Plan | None, faults: Faults, *, changed: bool = False) -> Page:
    refused = bool(faults) or bool(plan and plan.faults)
    return page(
        "recipients/import.html",
        workspace.viewer,
        current="recipients",
        workspace=workspace,
        status_code=422 if refused else 200,
        text=text,
        plan=plan,
        mark=_mark(plan) if plan else "",
        faults=faults,
        changed=changed,
        columns=",".join(csv_recipients.COLUMNS),
        language_name=languages.name,
    )


ROUTES = [export, ask, take]
