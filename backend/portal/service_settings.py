"""The settings of a service: its name, what it sends with, its limit and its tokens."""

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.orm import Session

from backend.accounts import audit, service_settings, service_tokens, services
from backend.branding import brands, senders
from backend.branding.brands import Owner
from backend.db import database as db
from backend.db.models.accounts import Service
from backend.lib import languages, settings
from backend.monitoring import usage
from backend.portal import access, revealed
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import Page, go, page


class SettingsForm(msgspec.Struct):
    """What a team may set itself."""

    name: str = ""


@get("/settings", sync_to_thread=True)
def show(workspace: NamedDependency[Workspace], request: Request[Any, Any, Any]) -> Response[Any]:
    """Show the settings, once with the token that was just made."""
    return revealed.once(request, _page(workspace, None, Faults(), made=revealed.taken(request)))


@post("/settings", guards=[access.administrators], sync_to_thread=True)
def save(workspace: NamedDependency[Workspace], data: Sent[SettingsForm]) -> Response[Any]:
    """Save the name."""
    faults, changed = Faults(), dict[str, object]()
    with db.current().transaction() as transaction:
        service = transaction.get_one(Service, workspace.service_id)
        with faults.on("name"):
            name = service_settings.checked_name(transaction, service, data.name)
            changed = service_settings.changes(service, name=name)
        if changed:
            _write_down(transaction, workspace, "service.changed", changed)
    if faults:
        return _page(workspace, data, faults)
    return go(workspace.address("settings"), "The settings are saved." if changed else "Nothing was changed.")


@post("/settings/tokens", guards=[access.administrators], sync_to_thread=True)
def make_token(workspace: NamedDependency[Workspace]) -> Response[Any]:
    """Make the service's first token, and lead to where it is shown once."""
    with db.current().transaction() as transaction:
        service = transaction.get_one(Service, workspace.service_id)
        made = service_tokens.create(transaction, service, "client")
        _write_down(transaction, workspace, "service_token.made", {"type": made.type})
    return revealed.lead(workspace.address("settings"), made.token, "#token")


@post("/settings/tokens/{token_id:int}/replace", guards=[access.administrators], sync_to_thread=True)
def replace_token(workspace: NamedDependency[Workspace], token_id: FromPath[int]) -> Response[Any]:
    """Put a new token in the place of one, and lead to where it is shown once."""
    with db.current().transaction() as transaction:
        service = transaction.get_one(Service, workspace.service_id)
        made = service_tokens.replace(transaction, service, token_id)
        _write_down(transaction, workspace, "service_token.replaced", {"type": made.type})
    return revealed.lead(workspace.address("settings"), made.token, "#token")


def _write_down(transaction: Session, workspace: Workspace, action: str, detail: dict[str, object]) -> None:
    audit.record(
        transaction, workspace.actor, action, workspace.service_name, service_id=workspace.service_id, detail=detail
    )


def _page(workspace: Workspace, form: SettingsForm | None, faults: Faults, made: str | None = None) -> Page:
    with db.current().read() as reading:
        service = reading.get_one(Service, workspace.service_id)
        tokens = service_tokens.all_of_service(reading, workspace.service_id)
        own, over = (
            brands.of(reading, Owner(service_id=workspace.service_id)),
            brands.above(reading, workspace.service_id),
        )
        used = usage.today(reading, [workspace.service_id]).get(workspace.service_id, 0)
    brand = brands.resolved(own, over)
    return page(
        "settings/index.html",
        workspace.viewer,
        current="settings",
        workspace=workspace,
        status_code=faults.status,
        service=service,
        form=form or SettingsForm(service.name),
        faults=faults,
        tokens=tokens,
        made=made,
        used=used,
        limit=services.daily_limit(service),
        installation_sender=senders.named(None, settings.current().mail_from, brand.sender_name),
        brand=brand,
        brand_of=brands.sources(own, over),
        language_name=languages.name(service.language),
    )


ROUTES = [show, save, make_token, replace_token]
