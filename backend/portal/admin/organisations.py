"""Organisations: listed, made and renamed, with the services that belong to them."""

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from backend.accounts import audit, organisations
from backend.accounts.sessions import Viewer
from backend.db import database as db
from backend.monitoring import usage
from backend.portal import downloads
from backend.portal.access import actor
from backend.portal.admin.tabs import ADMIN, admin_page
from backend.portal.forms import Faults, Sent
from backend.portal.pages import Page, go
from backend.reports import exports

_LIST = f"{ADMIN}/organisations"


class NameForm(msgspec.Struct):
    """An organisation's name."""

    name: str = ""


@get("/admin/organisations", sync_to_thread=True)
def index(viewer: NamedDependency[Viewer]) -> Page:
    """List the organisations with how many services each has."""
    return _list(viewer, NameForm(), Faults())


def as_file(request: Request[Any, Any, Any]) -> Stream:
    """Give all organisations of the list."""
    return downloads.as_file(request, exports.all_organisations(), "organisations")


@post("/admin/organisations", sync_to_thread=True)
def create(viewer: NamedDependency[Viewer], data: Sent[NameForm]) -> Response[Any]:
    """Make an organisation."""
    faults = Faults()
    with faults.on("name"), db.current().transaction() as transaction:
        made = organisations.create(transaction, data.name)
        audit.record(transaction, actor(viewer), "organisation.made", made.name, service_id=None)
    if faults:
        return _list(viewer, data, faults)
    return go(f"{_LIST}/{made.id}", f"{made.name} is made.")


@get("/admin/organisations/{organisation_id:int}", sync_to_thread=True)
def show(viewer: NamedDependency[Viewer], organisation_id: FromPath[int]) -> Page:
    """Show one organisation."""
    return _page(viewer, organisation_id, None, Faults())


@post("/admin/organisations/{organisation_id:int}", sync_to_thread=True)
def rename(viewer: NamedDependency[Viewer], organisation_id: FromPath[int], data: Sent[NameForm]) -> Response[Any]:
    """Give an organisation another name."""
    faults = Faults()
    with faults.on("name"), db.current().transaction() as transaction:
        renamed = organisations.get(transaction, organisation_id)
        former = organisations.rename(transaction, renamed, data.name)
        if former != renamed.name:
            detail: dict[str, object] = {"former": former}
            audit.record(
                transaction, actor(viewer), "organisation.renamed", renamed.name, service_id=None, detail=detail
            )
    if faults:
        return _page(viewer, organisation_id, data, faults)
    return go(f"{_LIST}/{organisation_id}", "The name is saved.")


def _list(viewer: Viewer, form: NameForm, faults: Faults) -> Page:
    with db.current().read() as reading:
        rows = organisations.listed(reading)
    return admin_page(
        "organisations", viewer, "organisations", status_code=faults.status, rows=rows, form=form, faults=faults
    )


def _page(viewer: Viewer, organisation_id: int, form: NameForm | None, faults: Faults) -> Page:
    with db.current().read() as reading:
        organisation = organisations.get(reading, organisation_id)
        services = organisations.services_of(reading, organisation_id)
        used = usage.today(reading, [one.id for one in services])
    return admin_page(
        "organisation",
        viewer,
        "organisations",
        status_code=faults.status,
        organisation=organisation,
        rows=[(one, used.get(one.id, 0)) for one in services],
        form=form or NameForm(organisation.name),
        faults=faults,
    )


ROUTES = [index, create, show, rename, *downloads.as_both("/admin/organisations", as_file)]
