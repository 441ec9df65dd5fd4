"""One notification: its story, its message as sent, what it was made of, and what people do about it."""

import json
from typing import Any, Literal
from urllib.parse import quote
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Template

from backend.batching import manage
from backend.channels.base import Channel, ChannelName
from backend.db import database as db
from backend.delivery import again
from backend.delivery.content import downloads
from backend.delivery.outcomes.present import Why
from backend.delivery.outcomes.resend import Done
from backend.delivery.outcomes.unknown_outcome import Decision
from backend.intake import resubmit
from backend.lib.problems import Problem
from backend.portal import access, live, matters
from backend.portal.access import Workspace
from backend.portal.forms import Sent
from backend.portal.pages import Go, Page, go, page
from backend.portal.security import MESSAGE_POLICY
from backend.reports import attachments, messages, particulars
from backend.reports.particulars import DeliveryRow, Particulars
from backend.scheduling import cancel as cancelling

View = Literal["message", "text", "fields", "answers"]
_VIEWS: tuple[tuple[View, str], ...] = (
    ("message", "Message"),
    ("text", "As text"),
    ("fields", "Fields"),
    ("answers", "Raw answers"),
)
_EDITORS = [access.editors]
_DECIDED = {
    Decision.RESEND: "The message is queued again.",
    Decision.MARK_SENT: "The message counts as sent.",
    Decision.FAIL: "The message counts as failed.",
}


@get("/notifications/{uid:uuid}", sync_to_thread=True)
def show(
    workspace: NamedDependency[Workspace],
    uid: FromPath[UUID],
    view: FromQuery[View] = "message",
    delivery: FromQuery[UUID | None] = None,
    after: FromQuery[int | None] = None,
) -> Page:
    """Show one notification, with the messages behind the row ``after``."""
    found = _find(workspace, uid, after)
    context = _context(workspace, found, after) | _message(workspace, found, view, delivery)
    return page("notifications/show.html", workspace.viewer, current="notifications", workspace=workspace, **context)


@get("/notifications/{uid:uuid}/story", guards=[live.inside_its_page], sync_to_thread=True)
def refresh(
    workspace: NamedDependency[Workspace],
    uid: FromPath[UUID],
    latest: FromQuery[str] = "",
    after: FromQuery[int | None] = None,
) -> Response[Any]:
    """Answer the story's own refresh: nothing (204) while it shows what is so."""
    context = _context(workspace, _find(workspace, uid, after), after)
    if latest == context["latest"]:
        return Response(None, status_code=204)
    context["changed"] = True
    return Template("notifications/_story.html", context=context | {"workspace": workspace}, media_type="text/html")


def _find(workspace: Workspace, uid: UUID, after: int | None = None) -> Particulars:
    if after is not None and not 0 <= after < 2**63:
        raise NotFoundException
    with db.current().read() as reading:
        found = particulars.of(reading, workspace.service_id, uid, after)
    if found is None:
        raise NotFoundException
    return found


def _context(workspace: Workspace, found: Particulars, after: int | None) -> dict[str, Any]:
    """Describe the story, the same way for the page and for its refresh."""
    latest = live.mark(found.report.status, found.report.updated_at, found.deliveries, len(found.steps))
    own = f"notifications/{found.report.notification_id}"
    return {
        "found": found,
        "report": found.report,
        "title": found.title,
        "own": workspace.address(own),
        "latest": latest,
        "changed": False,
        "refresh": workspace.address(f"{own}/story", latest=latest, after=after),
        "more": workspace.address(own, after=found.after) if found.after is not None else None,
        "beginning": workspace.address(own) if found.begins_later else None,
        "refused": found.report.problem is not None,
        "batches": _batches(found),
        "matter": matters.address(workspace, found.report.matter),
    }


def _batches(found: Particulars) -> list[Any]:
    """List the batches that the notification waits in or went with, each once."""
    memberships = [group.batch for channel in found.report.channels for group in channel.recipients if group.batch]
    return list({one.batch_id: one for one in memberships if one.removed_at is None}.values())


def _message(workspace: Workspace, found: Particulars, view: View, wanted: UUID | None) -> dict[str, Any]:
    """Describe what stands under the tabs; the message itself comes into its frame by an address of its own."""
    own = f"notifications/{found.report.notification_id}"
    chosen = _chosen(found, wanted)
    at = str(chosen.uid) if chosen else None
    views = _VIEWS if chosen else _VIEWS[2:3]
    if view not in dict(views):
        view = views[0][0]
    rendered = workspace.address(f"{own}/messages/{at}", view=view) if at else None
    return {
        "view": view,
        "tabs": [
            (word, f"{workspace.address(own, view=name, delivery=at)}#message", name == view) for name, word in views
        ],
        "chosen": chosen,
        "others": [
            (one, f"{workspace.address(own, view=view, delivery=str(one.uid))}#message", one is chosen)
            for one in found.deliveries
        ],
        "origin": _origin(workspace, chosen),
        "rendition": rendered,
        "content": _indented(found.content) if view == "fields" else None,
    }


def _chosen(found: Particulars, wanted: UUID | None) -> DeliveryRow | None:
    named = [one for one in found.deliveries if one.uid == wanted]
    return next(iter(named or found.deliveries), None)


def _origin(workspace: Workspace, chosen: DeliveryRow | None) -> messages.Rendition | None:
    if chosen is None:
        return None
    with db.current().read() as reading:
        return messages.origin(reading, workspace.service_id, chosen.uid)


def _indented(content: str | None) -> str | None:
    try:
        return json.dumps(json.loads(content), indent=2, ensure_ascii=False) if content else None
    except (ValueError, RecursionError):
        return content


@get("/notifications/{uid:uuid}/messages/{delivery_uid:uuid}", sync_to_thread=True)
def message(
    workspace: NamedDependency[Workspace],
    uid: FromPath[UUID],
    delivery_uid: FromPath[UUID],
    view: FromQuery[Literal["message", "text"]] = "message",
) -> Response[str]:
    """Serve the message of one delivery alone, for the sandboxed frame."""
    _check_delivery(workspace, uid, delivery_uid)
    return framed(workspace, delivery_uid, view)


@get("/notifications/{uid:uuid}/attachments/{sha256:str}", sync_to_thread=True)
def attachment(workspace: NamedDependency[Workspace], uid: FromPath[UUID], sha256: FromPath[str]) -> Response[bytes]:
    """Serve one file of a notification, to be saved and not to be shown here."""
    with db.current().read() as reading:
        found = attachments.one(reading, workspace.service_id, uid, sha256)
    if found is None:
        raise NotFoundException
    headers = {
        # RFC 6266, section 4.3.
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name, safe='')}",
        "Content-Security-Policy": MESSAGE_POLICY,
        "Cache-Control": "no-store",
    }
    return Response(found.content, media_type=found.type, headers=headers)


def _check_delivery(workspace: Workspace, uid: UUID, delivery_uid: UUID) -> None:
    with db.current().read() as reading:
        if not particulars.has_delivery(reading, workspace.service_id, uid, delivery_uid):
            raise NotFoundException


def framed(workspace: Workspace, delivery_uid: UUID, view: str) -> Response[str]:
    """Make the message of a delivery for a sandboxed frame, as HTML where it has any and it is asked for."""
    with db.current().read() as reading:
        found = messages.of_delivery(reading, workspace.service_id, delivery_uid)
    if found is None:
        raise NotFoundException
    if found.html is not None and view == "message":
        return _framed(found.html, "text/html")
    return _framed(found.fault or found.text, "text/plain")


def _framed(text: str, media_type: str) -> Response[str]:
    return Response(text, media_type=media_type, headers={"Content-Security-Policy": MESSAGE_POLICY})


@post("/notifications/{uid:uuid}/again", guards=_EDITORS, status_code=200, sync_to_thread=True)
def send_again(workspace: NamedDependency[Workspace], uid: FromPath[UUID]) -> Go:
    """Send again what failed, to the present addresses of its recipients."""
    done = again.send_again(workspace.service_id, uid, workspace.actor)
    return go(workspace.address(f"notifications/{uid}"), done=said_of(done))


def said_of(done: Done) -> str:
    """Say what came of sending again."""
    if not done.messages:
        return "Nothing of this has failed any more."
    stopped = sum(one.why is Why.SUPPRESSED for one in done.messages)
    lost = sum(one.why is Why.NO_ADDRESS for one in done.messages)
    said = [f"{_messages(done.queued)} queued again."] if done.queued else []
    said += [f"{stopped} stayed, since the address is suppressed."] if stopped else []
    said += [f"{lost} stayed, since the recipient has no address to send it to."] if lost else []
    return " ".join(said) or "Nothing had to go: the recipients’ present addresses have it."


class CancelForm(msgspec.Struct, frozen=True):
    """Which channel is cancelled, if not all that waits."""

    channel: Literal[""] | ChannelName = ""


@post("/notifications/{uid:uuid}/cancel", guards=_EDITORS, status_code=200, sync_to_thread=True)
def cancel(workspace: NamedDependency[Workspace], uid: FromPath[UUID], data: Sent[CancelForm]) -> Go:
    """Cancel what has not left."""
    try:
        only = Channel(data.channel) if data.channel else None
        count = cancelling.cancel(workspace.service_id, uid, workspace.actor, channel=only)
    except Problem as problem:
        if problem.code != "already_sent":
            raise
        count = 0
    done = f"{_messages(count)} cancelled." if count else "Nothing of this waits any more."
    return go(workspace.address(f"notifications/{uid}"), done=done)


@post("/notifications/{uid:uuid}/resubmit", guards=_EDITORS, status_code=200, sync_to_thread=True)
def validate_again(workspace: NamedDependency[Workspace], uid: FromPath[UUID]) -> Go:
    """Validate a refused notification afresh, as if its client had sent it again."""
    problem = resubmit.resubmit(workspace.service_id, uid, workspace.actor)
    done = f"Refused again: {problem.detail}" if problem else "Accepted this time."
    return go(workspace.address(f"notifications/{uid}"), done=done)


@post("/notifications/{uid:uuid}/take-out", guards=_EDITORS, status_code=200, sync_to_thread=True)
def take_out(workspace: NamedDependency[Workspace], uid: FromPath[UUID]) -> Go:
    """Take a buffered notification out of every batch that waits."""
    aggregator_id = _find(workspace, uid).report.aggregator_id or ""
    manage.remove(workspace.service_id, aggregator_id, uid, by=workspace.actor)
    return go(workspace.address(f"notifications/{uid}"), done="Taken out of its batch; it is not sent.")


@post("/notifications/{uid:uuid}/files/{link_id:int}/withdraw", guards=_EDITORS, status_code=200, sync_to_thread=True)
def withdraw(workspace: NamedDependency[Workspace], uid: FromPath[UUID], link_id: FromPath[int]) -> Go:
    """End a link to a file at once, and delete the file."""
    ended = downloads.withdraw(workspace.service_id, uid, link_id, workspace.actor)
    done = "The link leads nowhere from now on, and its file is deleted." if ended else "The link was over before."
    return go(workspace.address(f"notifications/{uid}"), done=done)


@post(
    "/notifications/{uid:uuid}/messages/{delivery_uid:uuid}/decide/{decision:str}",
    guards=_EDITORS,
    status_code=200,
    sync_to_thread=True,
)
def decide(
    workspace: NamedDependency[Workspace],
    uid: FromPath[UUID],
    delivery_uid: FromPath[UUID],
    decision: FromPath[Decision],
) -> Go:
    """Decide what became of a message of which nobody knows."""
    _check_delivery(workspace, uid, delivery_uid)
    return go(workspace.address(f"notifications/{uid}"), done=decided(workspace, delivery_uid, decision))


def decided(workspace: Workspace, delivery_uid: UUID, decision: Decision) -> str:
    """Carry a decision out, and say so."""
    done = again.decide(workspace.service_id, delivery_uid, decision, workspace.actor)
    return _DECIDED[decision] if done else "This message is not in doubt any more."


def _messages(count: int) -> str:
    return f"{count} message" + (" is" if count == 1 else "s are")


ROUTES = [show, refresh, message, attachment, send_again, cancel, validate_again, take_out, withdraw, decide]
