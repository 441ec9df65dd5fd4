"""``/registry/v1/settings``: what the client's service says of all its messages: their language, and their layout."""

from typing import Annotated, Any

import msgspec
from anyio import to_thread
from litestar import Controller, Request, get, post, put
from pydantic import Field

from backend.accounts.audit import Actor
from backend.api import bodies, errors
from backend.api import template_answers as answers
from backend.api.guards import bearer, principal
from backend.api.template_answers import ChangesAnswer, UserAnswer
from backend.db import database as db
from backend.lib.fair_pool import Share
from backend.lib.strict_json import Shape
from backend.publishing import mail_settings, publish, sources
from backend.publishing.mail_settings import SettingsPlan


class SettingsShape(Shape):
    """What a service says of all its messages."""

    language: Annotated[
        str,
        Field(
            min_length=2,
            max_length=35,
            description="The BCP 47 tag of the language that messages, and their numbers and dates, are written in, "
            "where a template names no other.",
            examples=["en-GB"],
        ),
    ] = "en"
    mail_layout: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            description="What surrounds the HTML of Markdown and text e-mails: the identifier of a layout in HTML "
            "with a block `content`, `none` for nothing, or null for Carillon's own.",
            examples=["X_LAYOUT"],
        ),
    ] = None


class SettingsAnswer(msgspec.Struct, frozen=True):
    """What the service says of all its messages, and the templates that were published anew for it."""

    language: str
    mail_layout: str | None
    published: list[UserAnswer]


def _show(service_id: int) -> SettingsAnswer:
    with db.current().read() as session:
        found = sources.mail_settings(session, service_id)
    return SettingsAnswer(found.language, found.layout, [])


def _plan(service_id: int, body: SettingsShape) -> SettingsPlan:
    with db.current().read() as session:
        return mail_settings.plan(session, service_id, body.language, body.mail_layout)


def _changes(service_id: int, body: SettingsShape) -> ChangesAnswer:
    found = mail_settings.changes(_plan(service_id, body), Share(service_id))
    return ChangesAnswer([answers.change(one) for one in found])


def _store(service_id: int, client_id: str, body: SettingsShape) -> SettingsAnswer:
    planned = _plan(service_id, body)
    publish.check_changes(mail_settings.changes(planned, Share(service_id)))
    with db.current().transaction() as session:
        anew = mail_settings.put(session, service_id, planned, Actor("client", client_id))
    published = [UserAnswer(one.identifier, one.version) for one in anew]
    return SettingsAnswer(planned.after.language, planned.after.layout, published)


class Settings(Controller):
    """What a service says of all its messages."""

    path = "/registry/v1/settings"
    tags = ("Settings",)
    guards = (bearer,)

    @get(
        operation_id="getSettings",
        summary="Show the settings",
        description="The language of the service's messages, and the layout of its Markdown and text e-mails.",
        opt={"scope": "registry:read"},
        responses=errors.documented(401, 403, 429, 503),
        sync_to_thread=True,
    )
    def show(self, request: Request[Any, Any, Any]) -> SettingsAnswer:
        """Return the settings."""
        return _show(principal(request).service_id)

    @put(
        operation_id="putSettings",
        summary="Change the settings",
        description=(
            "An absent member takes its default. Templates are published anew with the settings: all of them, or, "
            "where that would break one, none."
        ),
        opt={"scope": "registry:write", "body": SettingsShape},
        responses=errors.documented(400, 401, 403, 409, 413, 415, 422, 429, 503),
    )
    async def store(self, request: Request[Any, Any, Any]) -> SettingsAnswer:
        """Change the settings."""
        caller = principal(request)
        body = await bodies.read(request, SettingsShape)
        return await to_thread.run_sync(_store, caller.service_id, caller.client_id, body)

    @post(
        "/changes",
        status_code=200,
        operation_id="previewSettings",
        summary="See what other settings would change",
        description=(
            "The body is that of changing them; nothing is stored. Answers every template that would be published "
            "anew, with the message of its sample fields before and after."
        ),
        opt={"scope": "registry:read", "body": SettingsShape},
        responses=errors.documented(400, 401, 403, 409, 413, 415, 422, 429, 503),
    )
    async def changes(self, request: Request[Any, Any, Any]) -> ChangesAnswer:
        """Return what other settings would change."""
        caller = principal(request)
        body = await bodies.read(request, SettingsShape)
        return await to_thread.run_sync(_changes, caller.service_id, body)


ROUTES = [Settings]
