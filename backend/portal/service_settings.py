"""The settings of a service: its name, its sender, its limit and its tokens."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from sqlalchemy.orm import Session

from backend.accounts import audit, service_settings, service_tokens, services
from backend.accounts.service_tokens import NewToken
from backend.db import session
from backend.db.models.accounts import Service
from backend.lib import settings
from backend.lib.mailboxes import mailbox
from backend.portal import access
from backend.portal.access import Place
from backend.portal.forms import Faults
from backend.portal.pages import Page, go, page
from backend.rendering import locales
from backend.reports import usage


class SettingsForm(msgspec.Struct):
    """What a team may set itself; empty texts take the installation's."""

    name: str = ""
    sender_name: str = ""
    sender_address: str = ""
    reply_to: str = ""


@get("/settings", sync_to_thread=True)
def show(place: NamedDependency[Place]) -> Page:
    """Show the settings."""
    return _page(place, None, Faults())


@post("/settings", guards=[access.administrators], sync_to_thread=True)
def save(
    place: NamedDependency[Place], data: Annotated[SettingsForm, Body(media_type=RequestEncodingType.URL_ENCODED)]
) -> Response[Any]:
    """Save the name and the sender."""
    faults, values, changed = Faults(), dict[str, object](), dict[str, object]()
    with session.current().write() as transaction:
        service = transaction.get_one(Service, place.service_id)
        with faults.on("name"):
            values["name"] = service_settings.checked_name(transaction, service, data.name)
        with faults.on("sender_address"):
            values["mail_from"] = service_settings.checked_sender(data.sender_name, data.sender_address)
        with faults.on("reply_to"):
            values["reply_to"] = service_settings.checked_reply_to(data.reply_to)
        if not faults:
            changed = service_settings.changes(service, **values)
        if changed:
            _write_down(transaction, place, "service.changed", changed)
    if faults:
        return _page(place, data, faults)
    return go(place.address("settings"), "The settings are saved." if changed else "Nothing was changed.")


@post("/settings/tokens", guards=[access.administrators], sync_to_thread=True)
def make_token(place: NamedDependency[Place]) -> Page:
    """Make the service's first token and show it."""
    with session.current().write() as transaction:
        service = transaction.get_one(Service, place.service_id)
        made = service_tokens.create(transaction, service, "client")
        _write_down(transaction, place, "service_token.made", {"type": made.type})
    return _page(place, None, Faults(), made)


@post("/settings/tokens/{token_id:int}/replace", guards=[access.administrators], sync_to_thread=True)
def replace_token(place: NamedDependency[Place], token_id: FromPath[int]) -> Page:
    """Put a new token in the place of one, and show it."""
    with session.current().write() as transaction:
        service = transaction.get_one(Service, place.service_id)
        made = service_tokens.replace(transaction, service, token_id)
        _write_down(transaction, place, "service_token.replaced", {"type": made.type})
    return _page(place, None, Faults(), made)


def _write_down(transaction: Session, place: Place, action: str, detail: dict[str, object]) -> None:
    audit.record(transaction, place.actor, action, place.service_name, service_id=place.service_id, detail=detail)


def _page(place: Place, form: SettingsForm | None, faults: Faults, made: NewToken | None = None) -> Page:
    with session.current().read() as reading:
        service = reading.get_one(Service, place.service_id)
        tokens = service_tokens.all_of_service(reading, place.service_id)
        used = usage.today(reading, [place.service_id]).get(place.service_id, 0)
    installation = settings.current()
    return page(
        "settings/index.html",
        place.viewer,
        current="settings",
        place=place,
        status_code=faults.status,
        service=service,
        form=form or _present(service),
        faults=faults,
        tokens=tokens,
        made=made,
        used=used,
        limit=services.daily_limit(service),
        installation_sender=installation.mail_from,
        domain=service_settings.permitted_domain(),
        language_name=locales.name(service.language),
    )


def _present(service: Service) -> SettingsForm:
    name, address = mailbox(service.mail_from) if service.mail_from else ("", "")
    return SettingsForm(service.name, name, address, service.reply_to or "")


ROUTES = [show, save, make_token, replace_token]
