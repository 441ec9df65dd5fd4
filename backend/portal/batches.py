"""Batches: those that wait, with a count-down; one with its members and its message; what people do to it."""

from collections.abc import Callable
from typing import Any, Literal
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Template

from backend.batching import manage, preview, report
from backend.db import database as db
from backend.delivery import again
from backend.delivery.outcomes.unknown_outcome import Decision
from backend.portal import access, live, matters
from backend.portal.access import Workspace
from backend.portal.notification import decided, framed, said_of
from backend.portal.pages import Go, Page, go, page
from backend.portal.security import MESSAGE_POLICY
from backend.reports import attachments, batch_pages
from backend.reports.batch_pages import BatchPage

View = Literal["message", "text", "answers"]
_EDITORS = [access.editors]


@get("/batches", sync_to_thread=True)
def index(workspace: NamedDependency[Workspace]) -> Page:
    """Show the batches that wait, and those that went lately."""
    return page("batches/index.html", workspace.viewer, current="batches", workspace=workspace, **_context(workspace))


@get("/batches/list", guards=[live.inside_its_page], sync_to_thread=True)
def refresh(workspace: NamedDependency[Workspace], latest: FromQuery[str] = "") -> Response[Any]:
    """Answer the list's own refresh: nothing (204) while it shows what is so."""
    context = _context(workspace)
    if latest == context["latest"]:
        return Response(None, status_code=204)
    return Template("batches/_list.html", context=context | {"workspace": workspace}, media_type="text/html")


def _context(workspace: Workspace) -> dict[str, Any]:
    """Describe the lists, the same way for the page and for its refresh."""
    with db.current().read() as reading:
        waiting = report.next_to_go(reading, workspace.service_id)
        lately = batch_pages.lately(reading, workspace.service_id)
    latest = live.mark(waiting, lately)
    moving = bool(waiting) or any(row.status == "DISPATCHED" for row in lately)
    return {
        "waiting": waiting,
        "lately": lately,
        "moving": moving,
        "latest": latest,
        "refresh": workspace.address("batches/list", latest=latest),
    }


@get("/batches/{uid:uuid}", sync_to_thread=True)
def show(
    workspace: NamedDependency[Workspace],
    uid: FromPath[UUID],
    view: FromQuery[View] = "message",
    after: FromQuery[int] = 0,
) -> Page:
    """Show one batch."""
    found = _find(workspace, uid, after)
    own = f"batches/{uid}"
    words: list[tuple[View, str]] = [("message", "Message"), ("text", "As text"), ("answers", "Raw answers")]
    views = words if found.deliveries else words[:2]
    if view not in dict(views):
        view = "message"
    return page(
        "batches/show.html",
        workspace.viewer,
        current="batches",
        workspace=workspace,
        view=view,
        tabs=[(word, f"{workspace.address(own, view=name)}#message", name == view) for name, word in views],
        rendition=workspace.address(f"{own}/message", view=view),
        first=after <= 0,
        news=preview.news_of(workspace.service_id, uid) if found.unsent else None,
        **_one(workspace, found),
    )


@get("/batches/{uid:uuid}/state", guards=[live.inside_its_page], sync_to_thread=True)
def refresh_one(
    workspace: NamedDependency[Workspace], uid: FromPath[UUID], latest: FromQuery[str] = ""
) -> Response[Any]:
    """Answer the batch's own refresh: nothing (204) while it shows what is so."""
    context = _one(workspace, _find(workspace, uid, 0))
    if latest == context["latest"]:
        return Response(None, status_code=204)
    return Template("batches/_state.html", context=context | {"workspace": workspace}, media_type="text/html")


def _find(workspace: Workspace, uid: UUID, after: int) -> BatchPage:
    with db.current().read() as reading:
        found = batch_pages.one(reading, workspace.service_id, uid, after=min(max(after, 0), 2**31 - 1))
    if found is None:
        raise NotFoundException
    return found


def _one(workspace: Workspace, found: BatchPage) -> dict[str, Any]:
    """Describe the state of a batch, the same way for the page and for its refresh."""
    own = f"batches/{found.row.batch_id}"
    latest = live.mark(found.row, found.deliveries, found.happenings[-1:])
    return {
        "found": found,
        "batch": found.row,
        "matter": matters.address(workspace, found.row.matter),
        "own": workspace.address(own),
        "older": workspace.address(own, after=found.after) if found.after is not None else None,
        "latest": latest,
        "refresh": workspace.address(f"{own}/state", latest=latest),
    }


@get("/batches/{uid:uuid}/message", sync_to_thread=True)
def message(
    workspace: NamedDependency[Workspace], uid: FromPath[UUID], view: FromQuery[Literal["message", "text"]] = "message"
) -> Response[str]:
    """Serve the batch's message for the sandboxed frame: as it went, or as it would go now."""
    found = _find(workspace, uid, 0)
    if not found.unsent and found.deliveries:
        return framed(workspace, found.deliveries[0].uid, view)
    if not found.unsent:
        return _framed("This batch did not become a message.", "text/plain")
    made = preview.of_batch(workspace.service_id, uid)
    if made.html is not None and view == "message":
        with db.current().read() as reading:
            shown = attachments.with_images(reading, workspace.service_id, made.attachments, made.html)
        return _framed(shown, "text/html")
    return _framed(made.error or made.text or "", "text/plain")


def _framed(text: str, media_type: str) -> Response[str]:
    return Response(text, media_type=media_type, headers={"Content-Security-Policy": MESSAGE_POLICY})


@post("/batches/{uid:uuid}/flush", guards=_EDITORS, status_code=200, sync_to_thread=True)
def flush(workspace: NamedDependency[Workspace], uid: FromPath[UUID]) -> Go:
    """Send a batch now."""
    return _handle(workspace, uid, manage.flush_now, "The batch is on its way.")


@post("/batches/{uid:uuid}/hold", guards=_EDITORS, status_code=200, sync_to_thread=True)
def hold(workspace: NamedDependency[Workspace], uid: FromPath[UUID]) -> Go:
    """Keep a batch from being sent."""
    return _handle(workspace, uid, manage.pause, "Held back until it is released or sent.")


@post("/batches/{uid:uuid}/release", guards=_EDITORS, status_code=200, sync_to_thread=True)
def release(workspace: NamedDependency[Workspace], uid: FromPath[UUID]) -> Go:
    """Let a batch go on."""
    return _handle(workspace, uid, manage.release, "Released: it goes at its time.")


def _handle(workspace: Workspace, uid: UUID, way: Callable[..., list[int]], done: str) -> Go:
    found = _find(workspace, uid, 0)
    way(workspace.service_id, found.row.aggregator_id, only=uid, by=workspace.actor)
    return go(workspace.address(f"batches/{uid}"), done=done)


@post(
    "/batches/{uid:uuid}/members/{notification_uid:uuid}/remove",
    guards=_EDITORS,
    status_code=200,
    sync_to_thread=True,
)
def remove(workspace: NamedDependency[Workspace], uid: FromPath[UUID], notification_uid: FromPath[UUID]) -> Go:
    """Take one notification out of a batch."""
    aggregator_id = _find(workspace, uid, 0).row.aggregator_id
    manage.remove(workspace.service_id, aggregator_id, notification_uid, only=uid, by=workspace.actor)
    return go(workspace.address(f"batches/{uid}"), done="Taken out; it is not sent with this batch.")


@post("/batches/{uid:uuid}/again", guards=_EDITORS, status_code=200, sync_to_thread=True)
def send_again(workspace: NamedDependency[Workspace], uid: FromPath[UUID]) -> Go:
    """Send the batch's message again where it has failed, to the present addresses of its recipient."""
    done = again.send_again(workspace.service_id, uid, workspace.actor, of_batch=True)
    return go(workspace.address(f"batches/{uid}"), done=said_of(done))


@post("/batches/{uid:uuid}/cancel", guards=_EDITORS, status_code=200, sync_to_thread=True)
def cancel(workspace: NamedDependency[Workspace], uid: FromPath[UUID]) -> Go:
    """Cancel the batch's message for the addresses for which it still waits."""
    count = again.cancel(workspace.service_id, uid, workspace.actor, of_batch=True)
    done = "Cancelled where it still waited." if count else "Nothing of this waits any more."
    return go(workspace.address(f"batches/{uid}"), done=done)


@post(
    "/batches/{uid:uuid}/messages/{delivery_uid:uuid}/decide/{decision:str}",
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
    """Decide what became of the batch's message to one address, of which nobody knows."""
    if all(one.uid != delivery_uid for one in _find(workspace, uid, 0).deliveries):
        raise NotFoundException
    return go(workspace.address(f"batches/{uid}"), done=decided(workspace, delivery_uid, decision))


ROUTES = [index, refresh, show, refresh_one, message, flush, hold, release, remove, send_again, cancel, decide]
