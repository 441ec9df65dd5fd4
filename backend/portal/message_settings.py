"""The language of a service's messages and the layout of its e-mails: what a change does is shown, then done."""

import hashlib
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency

from backend.db import database as db
from backend.lib.languages import languages
from backend.lib.problems import Problem
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import Page, go, page
from backend.portal.templates_pages import changing
from backend.publishing import mail_settings, sources
from backend.publishing.mail_settings import SettingsPlan
from backend.publishing.publish import Change
from backend.rendering.model import NO_LAYOUT


class MessagesForm(msgspec.Struct, kw_only=True):
    """A language, a layout (empty for ours), and the mark of the change that the person has looked at."""

    language: str = ""
    mail_layout: str = ""
    seen: str = ""


class Review(msgspec.Struct, frozen=True):
    """A change before it is made, with what becomes of the templates."""

    plan: SettingsPlan
    changes: list[Change]

    @property
    def breaks(self) -> bool:
        """Tell whether a template would not render any more."""
        return any(one.breaks for one in self.changes)

    @property
    def mark(self) -> str:
        """Name the change, so that only what was shown is done."""
        told = (self.plan.after, [one.record.version_id for one in self.plan.users])
        return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:24]

    def status(self, form: MessagesForm) -> int:
        """Return the status of the page: the change cannot be made, or is another than the one that was seen."""
        return 422 if self.breaks else 409 if form.seen else 200


_ADDRESS = "settings/messages"


@get("/settings/messages", guards=[access.administrators], sync_to_thread=True)
def show(workspace: NamedDependency[Workspace]) -> Page:
    """Show the present language and layout in a form."""
    with db.current().read() as reading:
        present = sources.mail_settings(reading, workspace.service_id)
    form = MessagesForm(language=present.language, mail_layout=present.layout or "")
    return _page(workspace, form, Faults())


@post("/settings/messages", guards=[access.administrators], sync_to_thread=True)
def save(workspace: NamedDependency[Workspace], data: Sent[MessagesForm]) -> Response[Any]:
    """Show what a change would do to the templates; do it once that was seen, if it is still the same."""
    try:
        with db.current().read() as reading:
            planned = mail_settings.plan(reading, workspace.service_id, data.language, data.mail_layout or None)
        review = Review(planned, mail_settings.changes(planned, workspace.share))
    except Problem as problem:
        return _page(workspace, data, _faults(problem))
    if review.breaks or (review.changes and data.seen != review.mark):
        return _page(workspace, data, Faults(), review)
    with db.current().transaction() as transaction:
        anew = mail_settings.put(transaction, workspace.service_id, planned, workspace.actor)
    if not anew and planned.before == planned.after:
        return go(workspace.address("settings"), "Nothing was changed.")
    many = "1 template is" if len(anew) == 1 else f"{len(anew)} templates are"
    return go(workspace.address("settings"), f"The settings are saved; {many} published anew with them.")


def _faults(problem: Problem) -> Faults:
    faults = Faults()
    for error in problem.errors:
        faults.add(error.pointer.strip("/"), error.detail)
    if not faults:
        raise problem
    return faults


def _page(workspace: Workspace, form: MessagesForm, faults: Faults, review: Review | None = None) -> Page:
    with db.current().read() as reading:
        own = mail_settings.layouts(reading, workspace.service_id)
    choices = [("", "Carillon’s layout", "Calm and plain: a column of text that suits phones and dark screens.")]
    choices += [(one.identifier, one.content.name, f"{one.identifier}, one of your layouts") for one in own]
    choices.append((NO_LAYOUT, "No layout", "The text as the mail program shows it by itself."))
    return page(
        "settings/messages.html",
        workspace.viewer,
        current="settings",
        workspace=workspace,
        status_code=review.status(form) if review else faults.status,
        form=form,
        faults=faults,
        languages=languages(),
        layouts=choices,
        review=review,
        changes=review.changes if review else [],
        frames=changing.frames(workspace, review.changes) if review else {},
        address=workspace.address(_ADDRESS),
    )


ROUTES = [show, save]
