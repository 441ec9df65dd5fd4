"""Policies of a service in the portal: who is told when, until somebody answers."""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.channels.base import Channel
from backend.db import database as db
from backend.intake.obligations import PolicyShape, check
from backend.lib import strict_json
from backend.lib.problems import Problem
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import go, page
from backend.registry import owned, policies
from backend.registry.policies import PolicyRecord

_PAGE = 50
_ROW = re.compile(r"after-(\d{1,3})", re.ASCII)
_MOST_ROWS = 60
_SPARE = 2
_CHANNELS = tuple(channel.value for channel in Channel)
_EDITORS = [access.editors]
_UNTIL = (
    ("acknowledged", "Somebody acknowledges it"),
    ("read", "Somebody says that they have read it"),
    ("delivered", "A message is delivered"),
)
# A form's fields: name, identifier, until, and after-0, type-0, recipient-0, template-0, after-1, …
FormData = Sent[dict[str, str]]


class Row(msgspec.Struct):
    """A line of the form: when, how and to whom; several lines with one time are one step."""

    after: str = ""
    type: str = "EMAIL"
    recipient: str = ""
    template: str = ""

    @property
    def empty(self) -> bool:
        """Tell whether nothing was written."""
        return not (self.after or self.recipient or self.template)


class Written(msgspec.Struct):
    """A form as it was written; ``identifier`` is fixed once the policy is there."""

    name: str = ""
    identifier: str = ""
    until: str = "acknowledged"
    rows: list[Row] = []


@get("/policies", sync_to_thread=True)
def index(workspace: NamedDependency[Workspace], after: FromQuery[str | None] = None) -> Response[Any]:
    """List the policies of the service."""
    with db.current().read() as reading:
        found = policies.page(reading, workspace.service_id, _PAGE + 1, after)
    rows = found[:_PAGE]
    further = rows[-1].identifier if len(found) > _PAGE else None
    context: dict[str, Any] = {"rows": rows, "after": after, "further": further}
    return page("policies/index.html", workspace.viewer, current="recipients", workspace=workspace, **context)


@get("/policies/new", guards=_EDITORS, sync_to_thread=True)
def new(workspace: NamedDependency[Workspace]) -> Response[Any]:
    """Show the form of a new policy."""
    return _page(workspace, Written(rows=[Row("0s")]), Faults())


@post("/policies/new", guards=_EDITORS, sync_to_thread=True)
def create(workspace: NamedDependency[Workspace], data: FormData) -> Response[Any]:
    """Store a new policy."""
    written, faults = _read(data), Faults()
    with faults.on("identifier"):
        owned.check_identifier(written.identifier)
    if not _store(workspace, written, faults, new=True):
        return _page(workspace, written, faults)
    return go(workspace.address("policies"), f"{written.name} is stored.")


@get("/policies/{identifier:str}", guards=_EDITORS, sync_to_thread=True)
def edit(workspace: NamedDependency[Workspace], identifier: FromPath[str]) -> Response[Any]:
    """Show a policy's form."""
    with db.current().read() as reading:
        record = policies.get(reading, workspace.service_id, identifier)
    return _page(workspace, _of(record), Faults(), identifier)


@post("/policies/{identifier:str}", guards=_EDITORS, sync_to_thread=True)
def save(workspace: NamedDependency[Workspace], identifier: FromPath[str], data: FormData) -> Response[Any]:
    """Store a policy's changes; what was accepted before goes on as it was then."""
    with db.current().read() as reading:
        policies.get(reading, workspace.service_id, identifier)
    written, faults = _read(data), Faults()
    written.identifier = identifier
    if not _store(workspace, written, faults):
        return _page(workspace, written, faults, identifier)
    return go(workspace.address("policies"), "The changes are saved.")


@post("/policies/{identifier:str}/delete", guards=_EDITORS, sync_to_thread=True)
def delete(workspace: NamedDependency[Workspace], identifier: FromPath[str]) -> Response[Any]:
    """Delete a policy; what was accepted by it goes on."""
    with db.current().transaction() as transaction:
        policies.delete(transaction, workspace.service_id, identifier)
        audit.record(transaction, workspace.actor, "policy.deleted", identifier, service_id=workspace.service_id)
    return go(workspace.address("policies"), f"{identifier} is deleted. What was sent by it goes on.")


def _of(record: PolicyRecord) -> Written:
    rows = [
        Row(step["after"], one["type"], ", ".join(one["recipient"]), one.get("template_id") or "")
        for step in record.steps
        for one in step.get("channels") or [{"type": "EMAIL", "recipient": []}]
    ]
    return Written(record.name, record.identifier, record.until, rows)


def _read(data: Mapping[str, str]) -> Written:
    row_numbers = sorted(int(found[1]) for name in data if (found := _ROW.fullmatch(name)))[:_MOST_ROWS]
    rows = [
        Row(*(data.get(f"{name}-{one}", "").strip() for name in ("after", "type", "recipient", "template")))
        for one in row_numbers
    ]
    name, identifier = data.get("name", "").strip(), data.get("identifier", "").strip()
    return Written(name, identifier, data.get("until", ""), [row for row in rows if not row.empty])


def _steps(rows: Sequence[Row], kept: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write the steps of the form; ``kept`` is what the form has no fields for, by whom it is of."""
    return [
        {"after": after, "channels": [_with(_channel(row), kept) for row in some if row.recipient]}
        for after, some in groupby(rows, key=lambda row: row.after)
    ]


def _whom(channel: Mapping[str, Any]) -> str:
    return f"{channel['type']} {' '.join(channel['recipient'])}"


def _with(channel: dict[str, Any], kept: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {**kept.get(_whom(channel), {}), **channel}


def _kept(transaction: Session, workspace: Workspace, identifier: str) -> dict[str, dict[str, Any]]:
    """Return what a stored policy says of its channels that the form has no fields for, as senders and languages."""
    key = (workspace.service_id, identifier)
    record = policies.named(transaction, {key}).get(key)
    channels = [one for step in record.steps for one in step.get("channels", ())] if record else []
    own = {"type", "recipient", "template_id"}
    return {_whom(one): {name: value for name, value in one.items() if name not in own} for one in channels}


def _channel(row: Row) -> dict[str, Any]:
    named = {"template_id": row.template} if row.template else {}
    return {"type": row.type, "recipient": re.split(r"[,\s]+", row.recipient.strip(", ")), **named}


def _store(workspace: Workspace, written: Written, faults: Faults, *, new: bool = False) -> bool:
    """Store what was written, if nothing is wrong with it."""
    if not written.name:
        faults.add("name", "Give the policy a name.")
    if faults:
        return False
    with faults.on("steps"), db.current().transaction() as transaction:
        kept = _kept(transaction, workspace, written.identifier)
        said = {"name": written.name, "until": written.until, "steps": _steps(written.rows, kept)}
        content = check(transaction, workspace.service_id, strict_json.check(PolicyShape, said))
        if new and policies.named(transaction, {(workspace.service_id, written.identifier)}):
            raise Problem("identifier_taken", f"This service has a policy {written.identifier} already.")
        _record, made, changed = policies.put(transaction, workspace.service_id, written.identifier, content)
        if changed:
            action = "policy.made" if made else "policy.changed"
            audit.record(transaction, workspace.actor, action, written.identifier, service_id=workspace.service_id)
    return not faults


def _page(workspace: Workspace, written: Written, faults: Faults, present: str | None = None) -> Response[Any]:
    rows = [*written.rows, *(Row() for _ in range(_SPARE))]
    return page(
        "policies/form.html",
        workspace.viewer,
        current="recipients",
        workspace=workspace,
        status_code=422 if faults else 200,
        written=written,
        rows=rows,
        faults=faults,
        present=present,
        channels=_CHANNELS,
        until=_UNTIL,
    )


ROUTES = [index, new, create, edit, save, delete]
