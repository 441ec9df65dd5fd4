"""A service's home page: what went out, what fails and why, what is gathered, and the first steps."""

from datetime import date
from typing import Any, Literal

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Template

from backend.batching import report
from backend.channels.base import Channel
from backend.db import database as db
from backend.delivery.outcomes.record import OUTBOX
from backend.delivery.providers import routes
from backend.lib import clock
from backend.monitoring import usage
from backend.monitoring.usage import Day
from backend.portal import chart, live
from backend.portal.access import Workspace
from backend.portal.chart import Chart
from backend.portal.pages import Page, page
from backend.reports import failing, first_steps, notifications
from backend.reports.failing import Trouble
from backend.reports.first_steps import FirstSteps
from backend.reports.notifications import Filter

By = Literal["status", "channel"]
_OPEN_SHOWN = 6
_RECENT = 6
_ON_THEIR_WAY = ("DISPATCHED", "BUFFERED")


@get("/", sync_to_thread=True)
def show(workspace: NamedDependency[Workspace], by: FromQuery[By] = "status") -> Page:
    """Show how the service is doing."""
    return page("home/index.html", workspace.viewer, current="home", workspace=workspace, **_context(workspace, by))


@get("/now", guards=[live.inside_its_page], sync_to_thread=True)
def refresh(
    workspace: NamedDependency[Workspace], by: FromQuery[By] = "status", latest: FromQuery[str] = ""
) -> Response[Any]:
    """Answer the page's own refresh: nothing (204) while it shows what is so."""
    context = _context(workspace, by)
    if latest == context["latest"]:
        return Response(None, status_code=204)
    return Template("home/_now.html", context=context | {"workspace": workspace}, media_type="text/html")


def _context(workspace: Workspace, by: By) -> dict[str, Any]:
    """Describe the page, the same way for the page and for its refresh."""
    with db.current().read() as reading:
        days = usage.of_service(reading, workspace.service_id)
        troubles = failing.now(reading, workspace.service_id)
        waiting = report.next_to_go(reading, workspace.service_id)
        planned = notifications.next_of_service(reading, workspace.service_id)
        steps = first_steps.of_service(reading, workspace.service_id)
        recent = notifications.page(reading, workspace.service_id, Filter(), before=None, size=_RECENT).lines
    drawn = _by_channel(workspace, days) if by == "channel" else _by_status(workspace, days)
    today = dict(days[-1].statuses)
    shown = [(one.uid, one.status) for one in recent]
    latest = live.mark(by, days, troubles, waiting, planned, shown)
    return {
        "by": by,
        "chart": drawn,
        "figures": _figures(workspace, days[-1].day, today, len(waiting)),
        "troubles": [(trouble, _link(workspace, trouble)) for trouble in troubles],
        "scheduled": planned,
        "recent": recent,
        "kept": _kept(days),
        "waiting": waiting[:_OPEN_SHOWN],
        "waiting_more": len(waiting) - _OPEN_SHOWN,
        "steps": None if steps.done else _steps(workspace, steps),
        "begun": steps.notification,
        "moving": bool(waiting) or any(today.get(status) for status in _ON_THEIR_WAY),
        "latest": latest,
        "refresh": workspace.address("now", by=by, latest=latest),
    }


def _kept(days: list[Day]) -> list[str]:
    """Return the channels of the week whose messages stay in the outbox, since nothing is set to send them by."""
    used = sorted({channel for day in days for channel in day.channels})
    return [channel for channel in used if routes.preferred(Channel(channel)) == OUTBOX]


def _by_status(workspace: Workspace, days: list[Day]) -> Chart:
    def lead(series: str, first: date, last: date) -> str:
        return workspace.address("notifications", **_period(first, last), status=series or None)

    return chart.draw(days, chart.STATUSES, lambda day: dict(day.statuses), lead)


def _by_channel(workspace: Workspace, days: list[Day]) -> Chart:
    def lead(series: str, first: date, last: date) -> str:
        return workspace.address("notifications", **_period(first, last), channel=series or None)

    series = sorted({channel for day in days for channel in day.channels})
    return chart.draw(days, series, lambda day: dict(day.channels), lead)


def _period(first: date, last: date) -> dict[str, str]:
    return {"from": first.isoformat(), "to": last.isoformat()}


def _figures(
    workspace: Workspace, today: date, counts: dict[str, int], waiting: int
) -> list[tuple[str, int, str, str]]:
    """Return the numbers at the top: a word, the number, its tone and where it leads."""

    def lead(status: str) -> str:
        return workspace.address("notifications", **_period(today, today), status=status)

    words = [("Delivered", "DELIVERED", "green"), ("Sent", "SENT", "blue"), ("On their way", "DISPATCHED", "grey")]
    words += [("Partly sent", "PARTIAL", "amber")] if counts.get("PARTIAL") else []
    words += [("Failed", "FAILED", "red")]
    found = [(word, counts.get(status, 0), tone, lead(status)) for word, status, tone in words]
    return [*found, ("Batches waiting", waiting, "indigo", workspace.address("batches"))]


def _link(workspace: Workspace, trouble: Trouble) -> str:
    """Lead to the one that fails, or to the list of those that do."""
    if trouble.count == 1 or not trouble.recipient:
        return workspace.address(f"notifications/{trouble.notification}")
    since = (clock.now() - failing.SPAN).date()
    recipient = trouble.recipient.partition(", ")[0]
    query = {"status": trouble.status, "recipient": recipient, "from": since.isoformat()}
    return workspace.address("notifications", **query)


def _steps(workspace: Workspace, steps: FirstSteps) -> list[tuple[bool, str, str, str]]:
    """Return the first steps: done or not, what to do, why, and where."""
    return [
        (
            steps.recipient is not None,
            "Add a recipient",
            "A group with its addresses, such as a distribution list or a Slack channel.",
            workspace.address("recipients"),
        ),
        (
            steps.template is not None,
            "Publish a template",
            "How the message looks. Begin with one of the starters.",
            workspace.address("templates"),
        ),
        (
            steps.client is not None,
            "Create an API client",
            "The credentials with which your system signs in.",
            workspace.address("clients"),
        ),
        (
            steps.notification,
            "Send the first notification",
            "The guide has the lines to paste, with your own ids filled in.",
            workspace.address("guide"),
        ),
        (
            steps.live,
            "Go live",
            "Until then the service is on trial.",
            workspace.address("settings"),
        ),
    ]


ROUTES = [show, refresh]
