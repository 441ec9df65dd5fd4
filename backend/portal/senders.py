"""The senders of a service: what its e-mails may come from, and where answers may go."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.orm import Session

from backend.accounts import attempts, audit, sender_choice, senders
from backend.accounts.senders import NewLink, NewSender
from backend.db import database as db
from backend.db.models.accounts import Service
from backend.db.models.senders import Sender, SenderKind
from backend.lib import settings
from backend.lib.problems import Problem
from backend.portal import access, letters
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import Page, go, page
from backend.registry import template_usage
from backend.registry.templates import TemplateRecord

_ADDRESS = "settings/senders"


class SenderForm(msgspec.Struct):
    """An address to be added, what it is for, and the name before it."""

    kind: str = SenderKind.FROM.value
    address: str = ""
    name: str = ""


class NameForm(msgspec.Struct):
    """A new display name."""

    name: str = ""


class DefaultForm(msgspec.Struct):
    """Whether an address is to be the default: empty for no longer."""

    default: str = ""


@get("/settings/senders", sync_to_thread=True)
def show(workspace: NamedDependency[Workspace]) -> Page:
    """Show the senders."""
    return _page(workspace, SenderForm(), Faults())


@post("/settings/senders", guards=[access.administrators], sync_to_thread=True)
def add(workspace: NamedDependency[Workspace], data: Sent[SenderForm]) -> Response[Any]:
    """Add an address, and mail the link by which it is verified."""
    faults = Faults()
    with faults.on("address"), db.current().transaction() as transaction:
        link = senders.add(
            transaction, workspace.service_id, NewSender(data.kind, data.address, data.name), workspace.viewer.email
        )
        _mail(transaction, workspace, link, "sender.added")
    if faults:
        return _page(workspace, data, faults)
    done = f"{link.address} is added. It can be chosen once the link that was mailed to it is followed."
    return go(workspace.address(_ADDRESS), done)


@post("/settings/senders/{uid:uuid}/link", guards=[access.administrators], sync_to_thread=True)
def send_link(workspace: NamedDependency[Workspace], uid: FromPath[UUID]) -> Response[Any]:
    """Mail a new link in place of the old one."""
    faults = Faults()
    with _said(faults), db.current().transaction() as transaction:
        link = senders.renew(transaction, workspace.service_id, uid)
        _mail(transaction, workspace, link, "sender.link_sent")
    if faults:
        return _page(workspace, SenderForm(), faults)
    return go(workspace.address(_ADDRESS), f"A new link is on its way to {link.address}; the old one has ended.")


@post(
    "/settings/senders/{uid:uuid}/vouch",
    guards=[access.administrators, access.platform_administrators],
    sync_to_thread=True,
)
def vouch(workspace: NamedDependency[Workspace], uid: FromPath[UUID]) -> Response[Any]:
    """Verify an address whose mail nobody reads."""
    with db.current().transaction() as transaction:
        row = senders.vouch(transaction, workspace.service_id, uid, workspace.viewer.email)
        _write_down(transaction, workspace, "sender.vouched_for", row)
    return go(workspace.address(_ADDRESS), f"{row.address} counts as verified, by your word.")


@post("/settings/senders/{uid:uuid}/name", guards=[access.administrators], sync_to_thread=True)
def rename(workspace: NamedDependency[Workspace], uid: FromPath[UUID], data: Sent[NameForm]) -> Response[Any]:
    """Change the name before an address."""
    faults = Faults()
    with _said(faults), db.current().transaction() as transaction:
        row = senders.rename(transaction, workspace.service_id, uid, data.name)
        _write_down(transaction, workspace, "sender.renamed", row, name=row.name)
    if faults:
        return _page(workspace, SenderForm(), faults)
    return go(
        workspace.address(_ADDRESS), f"E-mails from {row.address} now come from {row.name or 'the address alone'}."
    )


@post("/settings/senders/{uid:uuid}/default", guards=[access.administrators], sync_to_thread=True)
def make_default(workspace: NamedDependency[Workspace], uid: FromPath[UUID], data: Sent[DefaultForm]) -> Response[Any]:
    """Let it be what e-mails have that choose none, or no longer."""
    faults = Faults()
    with _said(faults), db.current().transaction() as transaction:
        row = senders.make_default(transaction, workspace.service_id, uid, default=bool(data.default))
        _write_down(transaction, workspace, "sender.made_default", row, default=row.is_default)
    if faults:
        return _page(workspace, SenderForm(), faults)
    return go(workspace.address(_ADDRESS), f"{row.address} is {'the' if row.is_default else 'no longer the'} default.")


@post("/settings/senders/{uid:uuid}/remove", guards=[access.administrators], sync_to_thread=True)
def remove(workspace: NamedDependency[Workspace], uid: FromPath[UUID]) -> Response[Any]:
    """Take an address off the list."""
    with db.current().transaction() as transaction:
        row = senders.remove(transaction, workspace.service_id, uid)
        _write_down(transaction, workspace, "sender.removed", row)
    return go(workspace.address(_ADDRESS), f"{row.address} is removed.")


@contextmanager
def _said(faults: Faults) -> Iterator[None]:
    """Say on the page of senders why something cannot be done, but for a sender that there is not."""
    try:
        yield
    except Problem as problem:
        if problem.code == "not_found":
            raise
        faults.add("senders", problem.detail)


def _mail(transaction: Session, workspace: Workspace, link: NewLink, action: str) -> None:
    to_it = attempts.passes(transaction, attempts.SENDER_LINK, link.address)
    if not (attempts.passes(transaction, attempts.SENDER_LINKS, str(workspace.service_id)) and to_it):
        raise Problem("rate_limited", "Too many links were mailed within the hour: try again in an hour.")
    letters.verify_sender(transaction, link, workspace.viewer.email, workspace.service_name)
    detail = {"kind": link.kind.value}
    audit.record(transaction, workspace.actor, action, link.address, service_id=workspace.service_id, detail=detail)


def _write_down(transaction: Session, workspace: Workspace, action: str, row: Sender, **detail: object) -> None:
    said = {"kind": row.kind, **detail}
    audit.record(transaction, workspace.actor, action, row.address, service_id=workspace.service_id, detail=said)


def _page(workspace: Workspace, form: SenderForm, faults: Faults) -> Page:
    with db.current().read() as reading:
        service = reading.get_one(Service, workspace.service_id)
        rows = senders.of_service(reading, workspace.service_id)
        choosing = template_usage.choosing_senders(reading, workspace.service_id)
    return page(
        "senders/index.html",
        workspace.viewer,
        current="settings",
        workspace=workspace,
        status_code=faults.status,
        service=service,
        senders=[row for row in rows if row.kind == SenderKind.FROM],
        answers=[row for row in rows if row.kind == SenderKind.REPLY_TO],
        out_of_domain={row.uid for row in rows if not _permitted(row)},
        users={row.uid: _users(row, choosing) for row in rows},
        installation_sender=settings.current().mail_from,
        domains=sender_choice.permitted_domains(),
        form=form,
        faults=faults,
    )


def _permitted(row: Sender) -> bool:
    return row.kind == SenderKind.REPLY_TO or sender_choice.is_in_permitted_domain(row.address)


def _users(row: Sender, choosing: Sequence[TemplateRecord]) -> list[str]:
    """Name the templates that choose an address."""
    names = (row.address.lower(), str(row.uid))
    chosen = attrgetter("sender" if row.kind == SenderKind.FROM else "reply_to")
    return [one.identifier for one in choosing if (chosen(one.content) or "").lower() in names]


ROUTES = [show, add, send_link, vouch, rename, make_default, remove]
