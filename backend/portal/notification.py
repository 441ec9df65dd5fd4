"""One notification: its story, its message as sent, what it was made of, and what people do about it."""

import json
from typing import Any, Literal
from urllib.parse import quote
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Template

from backend.batching import manage
from backend.db import session
from backend.delivery import again
from backend.delivery.doubt import Decision
from backend.intake import resubmit
from backend.portal import access, live
from backend.portal.access import Place
from backend.portal.pages import Go, Page, go, page
from backend.portal.security import MESSAGE_POLICY
from backend.reports import attachments, particulars, rendition
from backend.reports.particulars import DeliveryRow, Particulars

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
    place: NamedDependency[Place],
    uid: FromPath[UUID],
    view: FromQuery[View] = "message",
    delivery: FromQuery[UUID | None] = None,
    after: FromQuery[int | None] = None,
) -> Page:
    """Show one notification, with the messages behind the row ``after``."""
    found = _find(place, uid, after)
    context = _context(place, found, after) | _message(place, found, view, delivery)
    return page("notifications/show.html", place.viewer, current="notifications", place=place, **context)


@get("/notifications/{uid:uuid}/story", sync_to_thread=True)
def refresh(
    place: NamedDependency[Place],
    uid: FromPath[UUID],
    latest: FromQuery[str] = "",
    after: FromQuery[int | None] = None,
) -> Response[Any]:
    """Answer the story's own refresh: nothing (204) while it shows what is so."""
    context = _context(place, _find(place, uid, after), after)
    if latest == context["latest"]:
        return Response(None, status_code=204)
    context["changed"] = True
    return Template("notifications/_story.html", context=context | {"place": place}, media_type="text/html")


def _find(place: Place, uid: UUID, after: int | None = None) -> Particulars:
    if after is not None and not 0 <= after < 2**63:
        raise NotFoundException
    with session.current().read() as reading:
        found = particulars.of(reading, place.service_id, uid, after)
    if found is None:
        raise NotFoundException
    return found


def _context(place: Place, found: Particulars, after: int | None) -> dict[str, Any]:
    """Describe the story, the same way for the page and for its refresh."""
    latest = live.mark(found.report.status, found.report.updated_at, found.deliveries, len(found.steps))
    own = f"notifications/{found.report.notification_id}"
    return {
        "found": found,
        "report": found.report,
        "part": found.parts[0] if found.parts else None,
        "own": place.address(own),
        "latest": latest,
        "changed": False,
        "refresh": place.address(f"{own}/story", latest=latest, after=after),
        "more": place.address(own, after=found.after) if found.after is not None else None,
        "beginning": place.address(own) if found.begins_later else None,
        "refused": found.report.problem is not None,
        "batches": _places(found),
    }


def _places(found: Particulars) -> list[Any]:
    """List the batches that the notification waits in or went with, each once."""
    places = [group.batch for channel in found.report.channels for group in channel.recipients if group.batch]
    return list({place.batch_id: place for place in places if place.removed_at is None}.values())


def _message(place: Place, found: Particulars, view: View, wanted: UUID | None) -> dict[str, Any]:
    """Describe what stands under the tabs; the message itself comes into its frame by an address of its own."""
    own = f"notifications/{found.report.notification_id}"
    chosen = _chosen(found, wanted)
    at = str(chosen.uid) if chosen else None
    views = _VIEWS if chosen else _VIEWS[2:3]
    if view not in dict(views):
        view = views[0][0]
    rendered = place.address(f"{own}/messages/{at}", view=view) if at else None
    return {
        "view": view,
        "tabs": [(word, f"{place.address(own, view=name, delivery=at)}#message", name == view) for name, word in views],
        "chosen": chosen,
        "others": [
            (one, f"{place.address(own, view=view, delivery=str(one.uid))}#message", one is chosen)
            for one in found.deliveries
        ],
        "origin": _origin(place, chosen),
        "rendition": rendered,
        "content": _indented(found.content) if view == "fields" else None,
    }


def _chosen(found: Particulars, wanted: UUID | None) -> DeliveryRow | None:
    named = [one for one in found.deliveries if one.uid == wanted]
    return next(iter(named or found.deliveries), None)


def _origin(place: Place, chosen: DeliveryRow | None) -> rendition.Rendition | None:
    if chosen is None:
        return None
    with session.current().read() as reading:
        return rendition.origin(reading, place.service_id, chosen.uid)


def _indented(content: str | None) -> str | None:
    try:
        return json.dumps(json.loads(content), indent=2, ensure_ascii=False) if content else None
    except (ValueError, RecursionError):
        return content


@get("/notifications/{uid:uuid}/messages/{delivery_uid:uuid}", sync_to_thread=True)
def message(
    place: NamedDependency[Place],
    uid: FromPath[UUID],
    delivery_uid: FromPath[UUID],
    view: FromQuery[Literal["message", "text"]] = "message",
) -> Response[str]:
    """Serve the message of one delivery alone, for the sandboxed frame."""
    _check_delivery(place, uid, delivery_uid)
    return framed(place, delivery_uid, view)


@get("/notifications/{uid:uuid}/attachments/{sha256:str}", sync_to_thread=True)
def attachment(place: NamedDependency[Place], uid: FromPath[UUID], sha256: FromPath[str]) -> Response[bytes]:
    """Serve one file of a notification, to be saved and not to be shown here."""
    with session.current().read() as reading:
        found = attachments.one(reading, place.service_id, uid, sha256)
    if found is None:
        raise NotFoundException
    headers = {
        # RFC 6266, section 4.3.
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name, safe='')}",
        "Content-Security-Policy": MESSAGE_POLICY,
        "Cache-Control": "no-store",
    }
    return Response(found.content, media_type=found.type, headers=headers)


def _check_delivery(place: Place, uid: UUID, delivery_uid: UUID) -> None:
    with session.current().read() as reading:
        if not particulars.has_delivery(reading, place.service_id, uid, delivery_uid):
            raise NotFoundException


def framed(place: Place, delivery_uid: UUID, view: str) -> Response[str]:
    """Make the message of a delivery for a sandboxed frame, as HTML where it has any and it is asked for."""
    with session.current().read() as reading:
        found = rendition.of_delivery(reading, place.service_id, delivery_uid)
    if found is None:
        raise NotFoundException
    if found.html is not None and view == "message":
        return _framed(found.html, "text/html")
    return _framed(found.fault or found.text, "text/plain")


def _framed(text: str, media_type: str) -> Response[str]:
    return Response(text, media_type=media_type, headers={"Content-Security-Policy": MESSAGE_POLICY})


@post("/notifications/{uid:uuid}/again", guards=_EDITORS, status_code=200, sync_to_thread=True)
def send_again(place: NamedDependency[Place], uid: FromPath[UUID]) -> Go:
    """Send again what failed."""
    count = again.send_again(place.service_id, uid, place.actor)
    done = f"{_messages(count)} queued again." if count else "Nothing of this has failed any more."
    return go(place.address(f"notifications/{uid}"), done=done)


@post("/notifications/{uid:uuid}/cancel", guards=_EDITORS, status_code=200, sync_to_thread=True)
def cancel(place: NamedDependency[Place], uid: FromPath[UUID]) -> Go:
    """Cancel what waits."""
    count = again.cancel(place.service_id, uid, place.actor)
    done = f"{_messages(count)} cancelled." if count else "Nothing of this waits any more."
    return go(place.address(f"notifications/{uid}"), done=done)


@post("/notifications/{uid:uuid}/resubmit", guards=_EDITORS, status_code=200, sync_to_thread=True)
def judge_again(place: NamedDependency[Place], uid: FromPath[UUID]) -> Go:
    """Judge a refused notification afresh, as if its client had sent it again."""
    problem = resubmit.resubmit(place.service_id, uid, place.actor)
    done = f"Refused again: {problem.detail}" if problem else "Accepted this time."
    return go(place.address(f"notifications/{uid}"), done=done)


@post("/notifications/{uid:uuid}/take-out", guards=_EDITORS, status_code=200, sync_to_thread=True)
def take_out(place: NamedDependency[Place], uid: FromPath[UUID]) -> Go:
    """Take a buffered notification out of every batch that waits."""
    aggregator_id = _find(place, uid).report.aggregator_id or ""
    manage.remove(place.service_id, aggregator_id, uid, by=place.actor)
    return go(place.address(f"notifications/{uid}"), done="Taken out of its batch; it is not sent.")


@post(
    "/notifications/{uid:uuid}/messages/{delivery_uid:uuid}/decide/{decision:str}",
    guards=_EDITORS,
    status_code=200,
    sync_to_thread=True,
)
def decide(
    place: NamedDependency[Place], uid: FromPath[UUID], delivery_uid: FromPath[UUID], decision: FromPath[Decision]
) -> Go:
    """Decide what became of a message of which nobody knows."""
    _check_delivery(place, uid, delivery_uid)
    return go(place.address(f"notifications/{uid}"), done=decided(place, delivery_uid, decision))


def decided(place: Place, delivery_uid: UUID, decision: Decision) -> str:
    """Carry a decision out, and say so."""
    done = again.decide(place.service_id, delivery_uid, decision, place.actor)
    return _DECIDED[decision] if done else "This message is not in doubt any more."


def _messages(count: int) -> str:
    return f"{count} message" + (" is" if count == 1 else "s are")


ROUTES = [show, refresh, message, attachment, send_again, cancel, judge_again, take_out, decide]
