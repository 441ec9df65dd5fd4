"""Sending one message: a form of the template's variables, a look at what it makes, and off to one recipient."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery

from backend.channels.addresses import masked
from backend.channels.base import Channel
from backend.db import database as db
from backend.delivery.sending.compose import html_for, text_for
from backend.intake import one_message, subjects
from backend.intake.one_message import OneMessage
from backend.intake.validate import PlannedChannel
from backend.lib import languages
from backend.lib.problems import Problem
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import Page, go, page
from backend.registry import previews, recipients, template_lists, templates
from backend.rendering.variables import Variable
from backend.reports import template_preview
from backend.reports.template_preview import MessageForm

_MOST_TEMPLATES, _MOST_RECIPIENTS = 1000, 200
_MOST_SHOWN, _MOST_FRAMED = 100_000, 3_000_000
_LONGEST_ADDRESS = 2048
_CHANNELS = tuple(channel.value for channel in Channel)
# Which field of the form a part of the request is, by the beginning of its pointer.
_FIELDS = (("recipient", "to"), ("subject", "subject"), ("type", "channel"), ("template_id", "template"))

# A form's fields: template, channel, recipient, address, subject, mark, action, and value:NAME of each variable.
FormData = Sent[dict[str, str]]


class Written(msgspec.Struct, kw_only=True):
    """A form as it was written; ``values`` are those of its variables by name."""

    channel: str = Channel.EMAIL.value
    recipient: str = ""
    address: str = ""
    subject: str = ""
    language: str = ""
    mark: str = ""
    values: Mapping[str, str] = {}


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The message as it would go: ``frame`` is the address of its HTML, ``to`` lists its first addresses.

    ``missed`` says whom it goes to in another language than the one asked for, ``held`` what keeps it from going.
    """

    language: str
    missed: list[str]
    subject: str | None
    text: str
    frame: str | None
    to: list[str]
    more: int
    held: str | None


class Asked(msgspec.Struct, frozen=True):
    """One variable in the form, with the id of its field and what was written."""

    id: str
    name: str
    variable: Variable
    value: str


@get("/send", guards=[access.editors], sync_to_thread=True)
def show(workspace: NamedDependency[Workspace], template: FromQuery[str] = "", recipient: FromQuery[str] = "") -> Page:
    """Show the form of one template, or first the choice of it."""
    form = _form(workspace, template)
    written = Written(channel=_first_channel(workspace, recipient), recipient=recipient.strip()[:64])
    if form is None:
        return _choice(workspace, template, recipient)
    return _page(workspace, form, msgspec.structs.replace(written, mark=secrets.token_urlsafe(16)), Faults())


@post("/send", guards=[access.editors], sync_to_thread=True)
def send(workspace: NamedDependency[Workspace], data: FormData) -> Response[Any]:
    """Send the message, or show how it would look; what is wrong is said beside its field."""
    form = _form(workspace, data.get("template", ""))
    if form is None:
        return _choice(workspace, data.get("template", ""), data.get("recipient", ""))
    written = _read(data)
    faults = Faults()
    message = _message(workspace, form, written, faults)
    if faults or message is None:
        return _page(workspace, form, written, faults)
    try:
        planned = one_message.validated(message)
        if data.get("action") != "send":
            shown = _shown(workspace, form, planned, one_message.foreseen(message, planned))
            return _page(workspace, form, written, faults, shown)
        uid = one_message.send(message, workspace.actor)
    except Problem as problem:
        _tell(problem, form, message, faults)
        return _page(workspace, form, written, faults)
    return go(workspace.address(f"notifications/{uid}"), done="The message was accepted; follow it here.")


def _form(workspace: Workspace, identifier: str) -> MessageForm | None:
    with db.current().read() as reading:
        return template_preview.of(reading, workspace.service_id, identifier.strip())


def _first_channel(workspace: Workspace, recipient: str) -> str:
    try:
        with db.current().read() as reading:
            endpoints = recipients.get(reading, workspace.service_id, recipient.strip()).endpoints
    except Problem:
        return Channel.EMAIL.value
    kinds = [one.type for one in endpoints]
    return Channel.EMAIL.value if Channel.EMAIL.value in kinds or not kinds else kinds[0]


def _read(data: Mapping[str, str]) -> Written:
    return Written(
        channel=data.get("channel", ""),
        recipient=data.get("recipient", "").strip(),
        address=data.get("address", "").strip()[:_LONGEST_ADDRESS],
        subject=data.get("subject", ""),
        language=data.get("language", "").strip(),
        mark=data.get("mark", "")[:64],
        values={name.removeprefix("value:"): text for name, text in data.items() if name.startswith("value:")},
    )


def _message(workspace: Workspace, form: MessageForm, written: Written, faults: Faults) -> OneMessage | None:
    """Read the form, or say beside its fields what keeps it from being a message."""
    if written.channel not in _CHANNELS:
        faults.add("channel", "Choose one of the list.")
        return None
    channel = Channel(written.channel)
    direct = bool(written.address)
    if direct and not workspace.may_administer:
        faults.add("recipient", "Editors send to the recipients of this service; administrators to any address too.")
    elif direct and written.recipient:
        faults.add("address", "Give a recipient or an address, not both.")
    elif not written.recipient and not direct:
        or_address = ", or write an address" if workspace.may_administer else ""
        faults.add("recipient", f"Choose a recipient{or_address}.")
    subject: str | None = None
    with faults.on("subject"):
        subject = subjects.checked(written.subject, channel, form.subject)
    language = None
    try:
        language = languages.language_tag(written.language) if written.language else None
    except ValueError as error:
        faults.add("language", str(error))
    fields = _fields(form.variables, written.values, faults)
    return OneMessage(
        service_id=workspace.service_id,
        template=form.identifier,
        channel=channel,
        to=written.address if direct else written.recipient,
        direct=direct,
        subject=subject,
        fields=fields,
        mark=written.mark or secrets.token_urlsafe(16),
        language=language,
    )


def _fields(wanted: Sequence[Variable], values: Mapping[str, str], faults: Faults) -> dict[str, Any]:
    """Read the variables; one that is empty and not needed is left out."""
    fields: dict[str, Any] = {}
    for number, variable in enumerate(wanted):
        text = values.get(variable.name, "")
        if not text.strip() and variable.kind != "boolean":
            if variable.needed:
                faults.add(f"value-{number}", f"Write something for “{variable.name}”: the template needs it.")
            continue
        with faults.on(f"value-{number}"):
            fields[variable.name] = variable.read(text)
    return fields


def _tell(problem: Problem, form: MessageForm, message: OneMessage, faults: Faults) -> None:
    """Say each fault of the validated message beside the field that it is of."""
    if problem.entry.status >= 500 and not problem.errors:
        faults.add("send-form", f"Nothing was sent. {problem.detail}")
        return
    for error in problem.errors:
        faults.add(_field_of(error.pointer, error.detail, form, direct=message.direct), error.detail)
    if not faults:
        faults.add("send-form", f"Nothing was sent. {problem.detail}")


def _field_of(pointer: str, detail: str, form: MessageForm, *, direct: bool) -> str:
    workspace = pointer.removeprefix("/channels/0/")
    field = next((field for beginning, field in _FIELDS if workspace.startswith(beginning)), "")
    if field == "to":
        return "address" if direct else "recipient"
    if field:
        return field
    named = (number for number, one in enumerate(form.variables) if f"'{one.name}'" in detail)
    number = next(named, None)
    return "send-form" if number is None else f"value-{number}"


def _shown(workspace: Workspace, form: MessageForm, planned: PlannedChannel, held: str | None) -> Shown:
    html = html_for(planned.channel.type, planned.rendered) if planned.channel.content_type == "html" else None
    frame: str | None = None
    if html is not None and len(html) <= _MOST_FRAMED:
        with db.current().transaction() as transaction:
            previews.keep(transaction, workspace.viewer.user_id, form.template_id, html)
        frame = workspace.address(f"templates/{form.identifier}/preview/{previews.digest(html)}")
    shown = [masked(planned.channel.type, target.address) for target in planned.targets[:5]]
    return Shown(
        language=languages.name(planned.first.language),
        missed=[one.sentence("it") for _, one in planned.missed],
        subject=planned.subject,
        text=text_for(planned.channel.type, planned.rendered)[:_MOST_SHOWN],
        frame=frame,
        to=shown,
        more=len(planned.targets) - len(shown),
        held=held,
    )


def _choice(workspace: Workspace, template: str, recipient: str) -> Page:
    faults = Faults()
    if template.strip():
        faults.add("template", "This service has no published template of this name. Choose one of the list.")
    with db.current().read() as reading:
        known = template_lists.page(reading, workspace.service_id, _MOST_TEMPLATES)
    return page(
        "send/choose.html",
        workspace.viewer,
        current="templates",
        workspace=workspace,
        status_code=faults.status,
        templates=[one for one in known if one.kind == "template"],
        recipient=recipient.strip()[:64],
        faults=faults,
    )


def _page(workspace: Workspace, form: MessageForm, written: Written, faults: Faults, look: Shown | None = None) -> Page:
    with db.current().read() as reading:
        known, _ = recipients.listed(reading, workspace.service_id, _MOST_RECIPIENTS)
        record = templates.get(reading, workspace.service_id, form.identifier)
    return page(
        "send/form.html",
        workspace.viewer,
        current="templates",
        workspace=workspace,
        status_code=faults.status,
        form=form,
        name=record.content.name,
        spoken=[(tag, languages.name(tag)) for tag in sorted({record.pins.language, *record.content.variants})],
        written=written,
        faults=faults,
        look=look,
        asked=[
            Asked(f"value-{number}", f"value:{one.name}", one, written.values.get(one.name, ""))
            for number, one in enumerate(form.variables)
        ],
        recipients=[(one.identifier, one.name) for one in known],
        channels=_CHANNELS,
    )


ROUTES = [show, send]
