"""The providers of the settings: their order and health, and the switch that takes one out by hand."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException

from backend.accounts import audit
from backend.accounts.sessions import Viewer
from backend.channels.base import Channel
from backend.db import database as db
from backend.delivery.providers import health as states
from backend.monitoring import providers
from backend.monitoring.providers import ProviderReport
from backend.portal.access import actor
from backend.portal.admin.tabs import ADMIN, admin_page
from backend.portal.forms import Sent
from backend.portal.pages import Page, go

_LIST = f"{ADMIN}/providers"


class SwitchForm(msgspec.Struct):
    """Which provider, and whether it is switched on."""

    provider: str = ""
    on: str = ""


@get("/admin/providers", sync_to_thread=True)
def index(viewer: NamedDependency[Viewer]) -> Page:
    """Show every channel with its providers, in order of preference."""
    with db.current().read() as reading:
        found = providers.providers(reading)
    channels: list[tuple[str, list[ProviderReport]]] = [
        (channel.value, [one for one in found if one.channel == channel]) for channel in Channel
    ]
    return admin_page(
        "providers",
        viewer,
        "providers",
        used=[(channel, rows) for channel, rows in channels if rows],
        unused=[channel for channel, rows in channels if not rows],
    )


@post("/admin/providers", sync_to_thread=True)
def switch(viewer: NamedDependency[Viewer], data: Sent[SwitchForm]) -> Response[Any]:
    """Switch a provider on or off; what it had begun it finishes."""
    is_on = data.on == "true"
    with db.current().transaction() as transaction:
        if all(one.name != data.provider for one in providers.providers(transaction)):
            raise NotFoundException
        states.switch(transaction, data.provider, on=is_on)
        action = "provider.switched_on" if is_on else "provider.switched_off"
        audit.record(transaction, actor(viewer), action, data.provider, service_id=None)
    done = "is switched on, and tried at once." if is_on else "is switched off; the next in order takes its messages."
    return go(_LIST, f"{data.provider} {done}")


ROUTES = [index, switch]
