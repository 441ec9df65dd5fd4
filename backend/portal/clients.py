"""API clients: the list, a new one with its secret, and one with its secrets, scopes, keys and examples."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from sqlalchemy.orm import Session

from backend.accounts import audit, clients
from backend.accounts.clients import NewSecret
from backend.callbacks import endpoints
from backend.db import session
from backend.db.models.accounts import ApiClient, Service
from backend.lib import settings
from backend.lib.problems import Problem
from backend.portal import access, code, guide
from backend.portal.access import Place
from backend.portal.forms import Faults
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
UrlEncoded = RequestEncodingType.URL_ENCODED


class ClientForm(msgspec.Struct):
    """A client's name and scopes, one member for each scope's box; the issuer of its tokens, if it is not ours."""

    name: str = ""
    send: str = ""
    read: str = ""
    registry_read: str = ""
    registry_write: str = ""
    introspect: str = ""
    issuer: str = ""
    issuer_client_id: str = ""

    def scopes(self, place: Place, had: Sequence[str] = ()) -> list[str]:
        """Return the scopes whose boxes are ticked; who may not give the last one leaves it as it was."""
        ticked = [scope for scope, name in zip(clients.ALL_SCOPES, _FIELDS, strict=True) if getattr(self, name)]
        if place.viewer.platform_admin:
            return ticked
        kept = [clients.INTROSPECT] if clients.INTROSPECT in had else []
        return [scope for scope in ticked if scope != clients.INTROSPECT] + kept


class KeysForm(msgspec.Struct):
    """A client's public keys, as JSON; empty for none."""

    jwks: str = ""


@get("/clients", sync_to_thread=True)
def index(place: NamedDependency[Place]) -> Page:
    """List the service's API clients, the live ones first."""
    with session.current().read() as reading:
        found = clients.of_service(reading, place.service_id)
    live = [one for one in found if one.revoked_at is None]
    ended = [one for one in found if one.revoked_at is not None]
    return page("clients/index.html", place.viewer, current="clients", place=place, live=live, ended=ended)


@get("/clients/new", guards=[access.administrators], sync_to_thread=True)
def new(place: NamedDependency[Place]) -> Page:
    """Show the form of a new client."""
    return _new(place, ClientForm(send="true", read="true"), Faults())


@post("/clients/new", guards=[access.administrators], sync_to_thread=True)
def create(place: NamedDependency[Place], data: Annotated[ClientForm, Body(media_type=UrlEncoded)]) -> Response[Any]:
    """Make a client and show its secret, once."""
    faults, scopes = Faults(), data.scopes(place)
    with faults.on("name"):
        clients.checked_name(data.name)
    with faults.on("send"):
        clients.checked_scopes(scopes)
    if faults:
        return _new(place, data, faults)
    if data.issuer:
        return _create_foreign(place, data, scopes)
    with session.current().write() as transaction:
        owner = transaction.get_one(Service, place.service_id)
        made = clients.create_client(transaction, owner, data.name, scopes)
        _write_down(transaction, place, "api_client.made", made.name, {"scopes": list(made.scopes)})
    return _page(place, made.client_id, Faults(), secret=made.client_secret)


def _create_foreign(place: Place, data: ClientForm, scopes: list[str]) -> Response[Any]:
    """Make a client that gets its tokens elsewhere."""
    faults, client_id = Faults(), ""
    with faults.on("issuer_client_id"), session.current().write() as transaction:
        owner = transaction.get_one(Service, place.service_id)
        made = clients.create_foreign(
            transaction, owner, data.name, scopes, issuer=data.issuer, issuer_client_id=data.issuer_client_id
        )
        detail: dict[str, object] = {"scopes": scopes, "issuer": data.issuer}
        _write_down(transaction, place, "api_client.made", made.name, detail)
        client_id = made.client_id
    if faults:
        return _new(place, data, faults)
    return go(
        place.address(f"clients/{client_id}"), "The API client is made: tokens of its issuer are taken from now on."
    )


@get("/clients/{client_id:str}", sync_to_thread=True)
def show(place: NamedDependency[Place], client_id: FromPath[str]) -> Page:
    """Show one client."""
    return _page(place, client_id, Faults())


@post("/clients/{client_id:str}/secrets", guards=[access.administrators], sync_to_thread=True)
def rotate(place: NamedDependency[Place], client_id: FromPath[str]) -> Page:
    """Make one more secret and show it, once."""
    faults, made = Faults(), None
    with faults.on("secrets"), session.current().write() as transaction:
        client = clients.one_of_service(transaction, place.service_id, client_id)
        made = clients.rotate(transaction, client)
        _write_down(transaction, place, "api_client.secret_added", client.name)
    return _page(place, client_id, faults, secret=made.client_secret if isinstance(made, NewSecret) else None)


@post("/clients/{client_id:str}/secrets/{secret_id:int}/revoke", guards=[access.administrators], sync_to_thread=True)
def revoke_secret(place: NamedDependency[Place], client_id: FromPath[str], secret_id: FromPath[int]) -> Response[Any]:
    """End one secret."""
    with session.current().write() as transaction:
        client = clients.one_of_service(transaction, place.service_id, client_id)
        clients.revoke_secret(transaction, client, secret_id)
        _write_down(transaction, place, "api_client.secret_revoked", client.name)
    done = "The secret is revoked: it brings no more tokens."
    return go(place.address(f"clients/{client_id}"), done)


@post("/clients/{client_id:str}/scopes", guards=[access.administrators], sync_to_thread=True)
def change(
    place: NamedDependency[Place], client_id: FromPath[str], data: Annotated[ClientForm, Body(media_type=UrlEncoded)]
) -> Response[Any]:
    """Save a client's name and scopes."""
    faults = Faults()
    with session.current().read() as reading:
        scopes = data.scopes(place, clients.one_of_service(reading, place.service_id, client_id).scopes.split())
    with faults.on("name"):
        clients.checked_name(data.name)
    with faults.on("send"):
        clients.checked_scopes(scopes)
    if faults:
        return _page(place, client_id, faults, form=data)
    with session.current().write() as transaction:
        client = clients.one_of_service(transaction, place.service_id, client_id)
        before = client.name, client.scopes
        client.name, client.scopes = clients.checked_name(data.name), " ".join(clients.checked_scopes(scopes))
        changed = before != (client.name, client.scopes)
        if changed:
            detail: dict[str, object] = {"name": client.name, "scopes": client.scopes.split()}
            _write_down(transaction, place, "api_client.changed", before[0], detail)
    done = "The changes are saved; tokens follow within ten minutes." if changed else "Nothing was changed."
    return go(place.address(f"clients/{client_id}"), done)


@post("/clients/{client_id:str}/keys", guards=[access.administrators], sync_to_thread=True)
def save_keys(
    place: NamedDependency[Place], client_id: FromPath[str], data: Annotated[KeysForm, Body(media_type=UrlEncoded)]
) -> Response[Any]:
    """Save a client's public keys, or take them away."""
    faults = Faults()
    with faults.on("jwks"):
        keys = clients.checked_jwks(_json(data.jwks)) if data.jwks.strip() else None
        with session.current().write() as transaction:
            client = clients.one_of_service(transaction, place.service_id, client_id)
            clients.check_signs_in_here(client)
            client.jwks = keys
            detail: dict[str, object] = {"keys": len(keys["keys"]) if keys else 0}
            _write_down(transaction, place, "api_client.keys_changed", client.name, detail)
    if faults:
        return _page(place, client_id, faults, jwks=data.jwks)
    done = "The public keys are saved." if keys else "The client has no public keys now."
    return go(place.address(f"clients/{client_id}"), done)


def _json(text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem("invalid_value", "The public keys are not JSON that can be read.") from error
    return read if isinstance(read, dict) else {}


@post("/clients/{client_id:str}/revoke", guards=[access.administrators], sync_to_thread=True)
def revoke(place: NamedDependency[Place], client_id: FromPath[str]) -> Response[Any]:
    """End a client."""
    with session.current().write() as transaction:
        client = clients.one_of_service(transaction, place.service_id, client_id)
        if client.revoked_at is None:
            clients.revoke_client(transaction, client)
            _write_down(transaction, place, "api_client.revoked", client.name)
        name = client.name
    return go(place.address("clients"), f"{name} is revoked; its tokens are refused from now on.")


def _write_down(
    transaction: Session, place: Place, action: str, name: str, detail: dict[str, object] | None = None
) -> None:
    audit.record(transaction, place.actor, action, name, service_id=place.service_id, detail=detail or {})


def _new(place: Place, form: ClientForm, faults: Faults) -> Page:
    return page(
        "clients/new.html",
        place.viewer,
        current="clients",
        place=place,
        status_code=faults.status,
        form=form,
        faults=faults,
        scopes=_boxes(place, form.scopes(place)),
        issuers=[(one.issuer, one.issuer) for one in settings.current().trusted_issuers],
    )


def _boxes(place: Place, ticked: list[str]) -> list[tuple[str, str, str, bool]]:
    """Return the box of each scope that one may give: its field, what it allows, more, and whether it is ticked."""
    return [
        (field, label, f"{scope}: {more}", scope in ticked)
        for field, (scope, label, more) in zip(_FIELDS, SCOPE_WORDS, strict=True)
        if scope != clients.INTROSPECT or place.viewer.platform_admin
    ]


def _page(  # noqa: PLR0913 - what stands on the page, each named at the call
    place: Place,
    client_id: str,
    faults: Faults,
    *,
    secret: str | None = None,
    form: ClientForm | None = None,
    jwks: str | None = None,
) -> Page:
    with session.current().read() as reading:
        client = clients.one_of_service(reading, place.service_id, client_id)
        secrets = clients.live_secrets(reading, client)
        example = first_steps.example(reading, place.service_id)
        callback = _callback(reading, client)
    base, example = settings.current().base_url, msgspec.structs.replace(example, client=client.client_id)
    keys = json.dumps(client.jwks, indent=2) if client.jwks else ""
    return page(
        "clients/show.html",
        place.viewer,
        current="clients",
        place=place,
        status_code=faults.status,
        client=client,
        secrets=secrets,
        secret=secret,
        most_secrets=clients.MOST_SECRETS,
        name=form.name if form else client.name,
        scopes=_boxes(place, form.scopes(place) if form else client.scopes.split()),
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


def _callback(reading: Session, client: ApiClient) -> endpoints.EndpointRecord | None:
    try:
        return endpoints.read(reading, client.id)
    except Problem as problem:
        if problem.code != "not_found":
            raise
        return None


ROUTES = [index, new, create, show, rotate, revoke_secret, change, save_keys, revoke]
