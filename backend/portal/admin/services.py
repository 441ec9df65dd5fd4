"""Services: listed, created, switched on and off, made live, limited."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect, Stream
from sqlalchemy.orm import Session

from backend.accounts import audit, members, organisations, service_settings, services
from backend.accounts.sessions import Viewer
from backend.db import database as db
from backend.db.models.accounts import Service
from backend.lib import inputs, settings
from backend.monitoring import usage
from backend.portal import downloads
from backend.portal.access import SERVICES, actor
from backend.portal.admin.tabs import ADMIN, admin_page
from backend.portal.forms import Faults, Sent
from backend.portal.pages import Page, go
from backend.reports import exports

_LIST = f"{ADMIN}/services"
_MOST = 500


class NewForm(msgspec.Struct):
    """A service that is to be made."""

    name: str = ""
    organisation: str = ""


class LimitForm(msgspec.Struct):
    """How much a service may send a day; nothing takes the installation's limit."""

    daily_limit: str = ""


class GroupForm(msgspec.Struct):
    """The organisation that a service belongs to, by its number; nothing for none."""

    organisation: str = ""


class SwitchForm(msgspec.Struct):
    """Which switch is set, and how."""

    switch: str = ""
    on: str = ""


@get("/admin", sync_to_thread=False)
def begin() -> Redirect:
    """Lead to the first tab."""
    return Redirect(_LIST, status_code=303)


@get("/admin/services", sync_to_thread=True)
def index(viewer: NamedDependency[Viewer], search: Annotated[str, QueryParameter(name="q")] = "") -> Page:
    """List the services with what they have sent today."""
    return _list(viewer, NewForm(), Faults(), search)


def as_file(request: Request[Any, Any, Any]) -> Stream:
    """Give all services that the search finds."""
    return downloads.as_file(request, exports.all_services(request.query_params.get("q", "").strip()), "services")


@post("/admin/services", sync_to_thread=True)
def create(viewer: NamedDependency[Viewer], data: Sent[NewForm]) -> Response[Any]:
    """Make a service, on trial."""
    faults = Faults()
    with faults.on("name"), db.current().transaction() as transaction:
        service = services.create_service(
            transaction, data.name, organisation=data.organisation.strip() or None, holds_clients=True
        )
        _write_down(transaction, viewer, service, "service.made", {})
    if faults:
        return _list(viewer, data, faults, "")
    return go(f"{SERVICES}/{service.id}/team", f"{service.name} is made. Invite its first administrator.")


@get("/admin/services/{service_id:int}", sync_to_thread=True)
def show(viewer: NamedDependency[Viewer], service_id: FromPath[int]) -> Page:
    """Show one service."""
    return _page(viewer, service_id, None, Faults())


@post("/admin/services/{service_id:int}/limit", sync_to_thread=True)
def limit(viewer: NamedDependency[Viewer], service_id: FromPath[int], data: Sent[LimitForm]) -> Response[Any]:
    """Set a service's daily limit."""
    faults = Faults()
    with faults.on("daily_limit"), db.current().transaction() as transaction:
        service = _service(transaction, service_id)
        changed = service_settings.changes(service, daily_limit=service_settings.checked_limit(data.daily_limit))
        if changed:
            _write_down(transaction, viewer, service, "service.limited", changed)
    if faults:
        return _page(viewer, service_id, data, faults)
    return go(f"{_LIST}/{service_id}", "The limit is saved.")


@post("/admin/services/{service_id:int}/organisation", sync_to_thread=True)
def group(viewer: NamedDependency[Viewer], service_id: FromPath[int], data: Sent[GroupForm]) -> Response[Any]:
    """Put a service under an organisation, or under none."""
    wanted = inputs.row(data.organisation)
    if data.organisation and wanted is None:
        raise NotFoundException
    with db.current().transaction() as transaction:
        service = _service(transaction, service_id)
        chosen = organisations.get(transaction, wanted) if wanted else None
        if service_settings.changes(service, organisation_id=chosen.id if chosen else None):
            detail: dict[str, object] = {"organisation": chosen.name if chosen else None}
            _write_down(transaction, viewer, service, "service.grouped", detail)
    done = f"{service.name} belongs to {chosen.name if chosen else 'no organisation'}."
    return go(f"{_LIST}/{service_id}", done)


@post("/admin/services/{service_id:int}/switch", sync_to_thread=True)
def switch(viewer: NamedDependency[Viewer], service_id: FromPath[int], data: Sent[SwitchForm]) -> Response[Any]:
    """Make a service live or put it on trial, with its API clients or without them; switch it off or on."""
    words = _SWITCHES.get((data.switch, data.on == "true"))
    if words is None:
        raise NotFoundException
    values = {data.switch: data.on == "true"} | ({"holds_clients": True} if words[0] == "service.put_on_trial" else {})
    with db.current().transaction() as transaction:
        service = _service(transaction, service_id)
        if service_settings.changes(service, **values):
            _write_down(transaction, viewer, service, words[0], {})
    return go(f"{_LIST}/{service_id}", f"{service.name} {words[1]}")


_SWITCHES = {
    ("live", True): ("service.made_live", "is live."),
    ("live", False): ("service.put_on_trial", "is on trial."),
    ("holds_clients", True): ("service.clients_held", "holds its API clients to its team too while it is on trial."),
    ("holds_clients", False): ("service.clients_let_go", "lets the modes of its API clients say whom they reach."),
    ("active", True): ("service.switched_on", "takes notifications again."),
    ("active", False): ("service.switched_off", "takes no notifications any more."),
}


def _service(transaction: Session, service_id: int) -> Service:
    service = services.service_by_id(transaction, service_id)
    if service is None or service.built_in:
        raise NotFoundException
    return service


def _write_down(transaction: Session, viewer: Viewer, service: Service, action: str, detail: dict[str, object]) -> None:
    audit.record(transaction, actor(viewer), action, service.name, service_id=service.id, detail=detail)


def _list(viewer: Viewer, form: NewForm, faults: Faults, search: str) -> Page:
    with db.current().read() as reading:
        found = [
            service for service in services.reachable(reading, None, search=search.strip(), limit=_MOST + 1)
            if not service.built_in
        ]  # fmt: skip
        used = usage.today(reading, [service.id for service in found])
        named = organisations.names(reading)
    return admin_page(
        "services",
        viewer,
        "services",
        status_code=faults.status,
        rows=[
            (one, named.get(one.organisation_id or 0, ""), used.get(one.id, 0), services.daily_limit(one))
            for one in found[:_MOST]
        ],
        more=len(found) > _MOST,
        organisations=sorted(named.values()),
        form=form,
        faults=faults,
        search=search,
    )


def _page(viewer: Viewer, service_id: int, form: LimitForm | None, faults: Faults) -> Page:
    with db.current().read() as reading:
        service = _service(reading, service_id)
        team = members.of_service(reading, service_id)
        used = usage.today(reading, [service_id]).get(service_id, 0)
        groups = organisations.listed(reading)
    installation = settings.current().daily_limit
    own = "" if service.daily_limit is None else str(service.daily_limit)
    return admin_page(
        "service",
        viewer,
        "services",
        status_code=faults.status,
        service=service,
        team=team,
        used=used,
        organisations=[("", "None"), *((str(one.id), one.name) for one in groups)],
        limit=services.daily_limit(service),
        installation=installation,
        form=form or LimitForm(own),
        faults=faults,
        service_home=f"{SERVICES}/{service_id}",
    )


ROUTES = [begin, index, create, show, limit, group, switch, *downloads.as_both("/admin/services", as_file)]
