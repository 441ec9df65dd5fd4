"""API clients: the list, a new one with its secret, and one with its secrets, scopes, keys and examples."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.orm import Session

from backend.accounts import audit, clients, services
from backend.accounts.reach import Manner
from backend.callbacks import endpoints
from backend.channels.addresses import masked
from backend.db import database as db
from backend.db.models.accounts import Mode, Service
from backend.lib import settings
from backend.lib.problems import Problem, if_found
from backend.portal import access, code, guide, revealed
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import Page, go, page
from backend.reports import first_steps

SCOPE_WORDS = (
    ("notifications:send", "Send notifications", "and send, hold back or empty its batches"),
    ("notifications:read", "Read notifications", "what became of them, and what is gathered"),
    ("registry:read", "Read the registry", "recipients, templates, suppressed addresses and its callback address"),
    ("registry:write", "Change the registry", "recipients, templates, suppressed addresses and its callback address"),
    ("tokens:introspect", "Ask about every token", "for a gateway; platform administrators alone give it"),
)
_FIELDS = ("send", "read", "registry_read", "registry_write", "introspect")


class ClientForm(msgspec.Struct):
    """A client's name and scopes, one member for each scope's box; the issuer of its tokens, if it is not ours.

    Whom it reaches, and where its messages go instead, are said of a new one alone.
    """

    name: str = ""
    send: str = ""
    read: str = ""
    registry_read: str = ""
    registry_write: str = ""
    introspect: str = ""
    issuer: str = ""
    issuer_client_id: str = ""
    mode: str = Mode.LIVE.value
    redirect: str = ""

    def scopes(self, workspace: Workspace, had: Sequence[str] = ()) -> list[str]:
        """Return the scopes whose boxes are ticked; who may not give the last one leaves it as it was."""
        ticked = [scope for scope, name in zip(clients.ALL_SCOPES, _FIELDS, strict=True) if getattr(self, name)]
        if workspace.viewer.platform_admin:
            return ticked
        kept = [clients.INTROSPECT] if clients.INTROSPECT in had else []
        return [scope for scope in ticked if scope != clients.INTROSPECT] + kept


class KeysForm(msgspec.Struct):
    """A client's public keys, as JSON; empty for none."""

    jwks: str = ""


@get("/clients", sync_to_thread=True)
def index(workspace: NamedDependency[Workspace]) -> Page:
    """List the service's API clients, the live ones first."""
    with db.current().read() as reading:
        found = clients.of_service(reading, workspace.service_id)
    live = [one for one in found if one.revoked_at is None]
    ended = [one for one in found if one.revoked_at is not None]
    return page("clients/index.html", workspace.viewer, current="clients", workspace=workspace, live=live, ended=ended)


@get("/clients/new", guards=[access.administrators], sync_to_thread=True)
def new(workspace: NamedDependency[Workspace]) -> Page:
    """Show the form of a new client."""
    return _new(workspace, ClientForm(send="true", read="true"), Faults())


@post("/clients/new", guards=[access.administrators], sync_to_thread=True)
def create(workspace: NamedDependency[Workspace], data: Sent[ClientForm]) -> Response[Any]:
    """Make a client, and lead to its page, which shows its secret once."""
    faults, scopes = Faults(), data.scopes(workspace)
    with faults.on("name"):
        clients.checked_name(data.name)
    with faults.on("send"):
        clients.checked_scopes(scopes)
    manner = Manner()
    with faults.on("redirect"):
        manner = clients.checked_manner(data.mode, data.redirect)
    if faults:
        return _new(workspace, data, faults)
    if data.issuer:
        return _create_foreign(workspace, data, scopes, manner)
    with db.current().transaction() as transaction:
        owner = transaction.get_one(Service, workspace.service_id)
        made = clients.create_client(transaction, owner, data.name, scopes, manner=manner)
        detail: dict[str, object] = {
            "scopes": list(made.scopes),
            "mode": made.mode.value,
            "redirected": made.redirect is not None,
        }
        _write_down(transaction, workspace, "api_client.made", made.name, detail)
    return revealed.lead(workspace.address(f"clients/{made.client_id}"), made.client_secret)


def _create_foreign(workspace: Workspace, data: ClientForm, scopes: list[str], manner: Manner) -> Response[Any]:
    """Make a client that gets its tokens elsewhere."""
    faults, client_id = Faults(), ""
    with faults.on("issuer_client_id"), db.current().transaction() as transaction:
        owner = transaction.get_one(Service, workspace.service_id)
        made = clients.create_foreign(
            transaction,
            owner,
            data.name,
            scopes,
            issuer=data.issuer,
            issuer_client_id=data.issuer_client_id,
            manner=manner,
        )
        detail: dict[str, object] = {"scopes": scopes, "issuer": data.issuer, "mode": made.mode}
        _write_down(transaction, workspace, "api_client.made", made.name, detail)
        client_id = made.client_id
    if faults:
        return _new(workspace, data, faults)
    return go(
        workspace.address(f"clients/{client_id}"), "The API client is made: tokens of its issuer are taken from now on."
    )


@get("/clients/{client_id:str}", sync_to_thread=True)
def show(
    request: Request[Any, Any, Any], workspace: NamedDependency[Workspace], client_id: FromPath[str]
) -> Response[Any]:
    """Show one client; a secret that was just made is shown once."""
    return revealed.once(request, _page(workspace, client_id, Faults(), secret=revealed.taken(request)))


@post("/clients/{client_id:str}/secrets", guards=[access.administrators], sync_to_thread=True)
def rotate(workspace: NamedDependency[Workspace], client_id: FromPath[str]) -> Response[Any]:
    """Make one more secret, and lead to the page that shows it once."""
    faults, secret = Faults(), ""
    with faults.on("secrets"):
        secret = _rotated(workspace, client_id)
    if faults:
        return _page(workspace, client_id, faults)
    return revealed.lead(workspace.address(f"clients/{client_id}"), secret)


def _rotated(workspace: Workspace, client_id: str) -> str:
    with db.current().transaction() as transaction:
        client = clients.one_of_service(transaction, workspace.service_id, client_id)
        made = clients.rotate(transaction, client)
        _write_down(transaction, workspace, "api_client.secret_added", client.name)
    return made.client_secret


@post("/clients/{client_id:str}/secrets/{secret_id:int}/revoke", guards=[access.administrators], sync_to_thread=True)
def revoke_secret(
    workspace: NamedDependency[Workspace], client_id: FromPath[str], secret_id: FromPath[int]
) -> Response[Any]:
    """End one secret."""
    with db.current().transaction() as transaction:
        client = clients.one_of_service(transaction, workspace.service_id, client_id)
        clients.revoke_secret(transaction, client, secret_id)
        _write_down(transaction, workspace, "api_client.secret_revoked", client.name)
    done = "The secret is revoked: it brings no more tokens."
    return go(workspace.address(f"clients/{client_id}"), done)


@post("/clients/{client_id:str}/scopes", guards=[access.administrators], sync_to_thread=True)
def change(workspace: NamedDependency[Workspace], client_id: FromPath[str], data: Sent[ClientForm]) -> Response[Any]:
    """Save a client's name and scopes."""
    faults = Faults()
    with db.current().read() as reading:
        scopes = data.scopes(workspace, clients.one_of_service(reading, workspace.service_id, client_id).scopes.split())
    with faults.on("name"):
        clients.checked_name(data.name)
    with faults.on("send"):
        clients.checked_scopes(scopes)
    if faults:
        return _page(workspace, client_id, faults, form=data)
    with db.current().transaction() as transaction:
        client = clients.one_of_service(transaction, workspace.service_id, client_id)
        before = client.name, client.scopes
        client.name, client.scopes = clients.checked_name(data.name), " ".join(clients.checked_scopes(scopes))
        changed = before != (client.name, client.scopes)
        if changed:
            detail: dict[str, object] = {"name": client.name, "scopes": client.scopes.split()}
            _write_down(transaction, workspace, "api_client.changed", before[0], detail)
    done = "The changes are saved; tokens follow within ten minutes." if changed else "Nothing was changed."
    return go(workspace.address(f"clients/{client_id}"), done)


@post("/clients/{client_id:str}/keys", guards=[access.administrators], sync_to_thread=True)
def save_keys(workspace: NamedDependency[Workspace], client_id: FromPath[str], data: Sent[KeysForm]) -> Response[Any]:
    """Save a client's public keys, or take them away."""
    faults = Faults()
    with faults.on("jwks"):
        keys = clients.checked_jwks(_json(data.jwks)) if data.jwks.strip() else None
        with db.current().transaction() as transaction:
            client = clients.one_of_service(transaction, workspace.service_id, client_id)
            clients.check_signs_in_here(client)
            client.jwks = keys
            detail: dict[str, object] = {"keys": len(keys["keys"]) if keys else 0}
            _write_down(transaction, workspace, "api_client.keys_changed", client.name, detail)
    if faults:
        return _page(workspace, client_id, faults, jwks=data.jwks)
    done = "The public keys are saved." if keys else "The client has no public keys now."
    return go(workspace.address(f"clients/{client_id}"), done)


def _json(text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem("invalid_value", "The public keys are not JSON that can be read.") from error
    return read if isinstance(read, dict) else {}


@post("/clients/{client_id:str}/revoke", guards=[access.administrators], sync_to_thread=True)
def revoke(workspace: NamedDependency[Workspace], client_id: FromPath[str]) -> Response[Any]:
    """End a client."""
    with db.current().transaction() as transaction:
        client = clients.one_of_service(transaction, workspace.service_id, client_id)
        if client.revoked_at is None:
            clients.revoke_client(transaction, client)
            _write_down(transaction, workspace, "api_client.revoked", client.name)
        name = client.name
    return go(workspace.address("clients"), f"{name} is revoked; its tokens are refused from now on.")


def _write_down(
    transaction: Session, workspace: Workspace, action: str, name: str, detail: dict[str, object] | None = None
) -> None:
    audit.record(transaction, workspace.actor, action, name, service_id=workspace.service_id, detail=detail or {})


def _new(workspace: Workspace, form: ClientForm, faults: Faults) -> Page:
    return page(
        "clients/new.html",
        workspace.viewer,
        current="clients",
        workspace=workspace,
        status_code=faults.status,
        form=form,
        faults=faults,
        scopes=_boxes(workspace, form.scopes(workspace)),
        issuers=[(one.issuer, one.issuer) for one in settings.current().trusted_issuers],
    )


def _boxes(workspace: Workspace, ticked: list[str]) -> list[tuple[str, str, str, bool]]:
    """Return the box of each scope that one may give: its field, what it allows, more, and whether it is ticked."""
    return [
        (field, label, f"{scope}: {more}", scope in ticked)
        for field, (scope, label, more) in zip(_FIELDS, SCOPE_WORDS, strict=True)
        if scope != clients.INTROSPECT or workspace.viewer.platform_admin
    ]


def _page(  # noqa: PLR0913 - what stands on the page, each named at the call
    workspace: Workspace,
    client_id: str,
    faults: Faults,
    *,
    secret: str | None = None,
    form: ClientForm | None = None,
    jwks: str | None = None,
) -> Page:
    with db.current().read() as reading:
        client = clients.one_of_service(reading, workspace.service_id, client_id)
        secrets = clients.live_secrets(reading, client)
        example = first_steps.example(reading, workspace.service_id)
        callback = if_found(lambda: endpoints.read(reading, client.id))
        service = services.service_by_id(reading, workspace.service_id)
    base, example = settings.current().base_url, msgspec.structs.replace(example, client=client.client_id)
    keys = json.dumps(client.jwks, indent=2) if client.jwks else ""
    return page(
        "clients/show.html",
        workspace.viewer,
        current="clients",
        workspace=workspace,
        status_code=faults.status,
        client=client,
        held=service is not None and not service.live and service.holds_clients,
        secrets=secrets,
        secret=secret,
        most_secrets=clients.MOST_SECRETS,
        redirect=None if client.redirect is None else masked("", client.redirect),
        name=form.name if form else client.name,
        scopes=_boxes(workspace, form.scopes(workspace) if form else client.scopes.split()),
        scope_words=[label for scope, label, _ in SCOPE_WORDS if scope in client.scopes.split()],
        jwks=keys if jwks is None else jwks,
        lines=guide.lines(example, base),
        programs=code.programs(base, client.client_id, guide.notification(example)),
        secret_command=code.INTO_ENVIRONMENT,
        example=example,
        callback=callback,
        trusted=[one.issuer for one in settings.current().trusted_issuers],
        faults=faults,
    )


ROUTES = [index, new, create, show, rotate, revoke_secret, change, save_keys, revoke]
