"""A service's home page: what went out, what fails and why, what is gathered, and the first steps."""

from datetime import date
from typing import Any, Literal

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Template

from backend.db import session
from backend.lib import clock
from backend.portal import chart, live
from backend.portal.access import Place
from backend.portal.chart import Chart
from backend.portal.pages import Page, page
from backend.reports import batch_pages, failing, first_steps, week
from backend.reports.failing import Trouble
from backend.reports.first_steps import FirstSteps
from backend.reports.week import Day

By = Literal["status", "channel"]
_OPEN_SHOWN = 6
_ON_THEIR_WAY = ("DISPATCHED", "BUFFERED")


@get("/", sync_to_thread=True)
def show(place: NamedDependency[Place], by: FromQuery[By] = "status") -> Page:
    """Show how the service is doing."""
    return page("home/index.html", place.viewer, current="home", place=place, **_context(place, by))


@get("/now", sync_to_thread=True)
def refresh(place: NamedDependency[Place], by: FromQuery[By] = "status", latest: FromQuery[str] = "") -> Response[Any]:
    """Answer the page's own refresh: nothing (204) while it shows what is so."""
    context = _context(place, by)
    if latest == context["latest"]:
        return Response(None, status_code=204)
    return Template("home/_now.html", context=context | {"place": place}, media_type="text/html")


def _context(place: Place, by: By) -> dict[str, Any]:
    """Describe the page, the same way for the page and for its refresh."""
    with session.current().read() as reading:
        days = week.of_service(reading, place.service_id)
        troubles = failing.now(reading, place.service_id)
        waiting = batch_pages.waiting(reading, place.service_id)
        steps = first_steps.of_service(reading, place.service_id)
    drawn = _by_channel(place, days) if by == "channel" else _by_status(place, days)
    today = dict(days[-1].statuses)
    latest = live.mark(by, days, troubles, waiting)
    return {
        "by": by,
        "chart": drawn,
        "figures": _figures(place, days[-1].day, today, len(waiting)),
        "troubles": [(trouble, _look(place, trouble)) for trouble in troubles],
        "waiting": waiting[:_OPEN_SHOWN],
        "waiting_more": len(waiting) - _OPEN_SHOWN,
        "steps": None if steps.done else _steps(place, steps),
        "begun": steps.notification,
        "moving": bool(waiting) or any(today.get(status) for status in _ON_THEIR_WAY),
        "latest": latest,
        "refresh": place.address("now", by=by, latest=latest),
    }


def _by_status(place: Place, days: list[Day]) -> Chart:
    def lead(series: str, first: date, last: date) -> str:
        return place.address("notifications", **_period(first, last), status=series or None)

    return chart.draw(days, chart.STATUSES, lambda day: dict(day.statuses), lead)


def _by_channel(place: Place, days: list[Day]) -> Chart:
    def lead(series: str, first: date, last: date) -> str:
        return place.address("notifications", **_period(first, last), channel=series or None)

    series = sorted({channel for day in days for channel in day.channels})
    return chart.draw(days, series, lambda day: dict(day.channels), lead)


def _period(first: date, last: date) -> dict[str, str]:
    return {"from": first.isoformat(), "to": last.isoformat()}


def _figures(place: Place, today: date, counts: dict[str, int], waiting: int) -> list[tuple[str, int, str, str]]:
    """Return the numbers at the top: a word, the number, its tone and where it leads."""

    def lead(status: str) -> str:
        return place.address("notifications", **_period(today, today), status=status)

    words = [("Delivered", "DELIVERED", "green"), ("Sent", "SENT", "blue"), ("On their way", "DISPATCHED", "grey")]
    words += [("Partly sent", "PARTIAL", "amber")] if counts.get("PARTIAL") else []
    words += [("Failed", "FAILED", "red")]
    found = [(word, counts.get(status, 0), tone, lead(status)) for word, status, tone in words]
    return [*found, ("Batches waiting", waiting, "indigo", place.address("batches"))]


def _look(place: Place, trouble: Trouble) -> str:
    """Lead to the one that fails, or to the list of those that do."""
    if trouble.count == 1 or not trouble.recipient:
        return place.address(f"notifications/{trouble.notification}")
    since = (clock.now() - failing.SPAN).date()
    recipient = trouble.recipient.partition(", ")[0]
    query = {"status": trouble.status, "recipient": recipient, "from": since.isoformat()}
    return place.address("notifications", **query)


def _steps(place: Place, steps: FirstSteps) -> list[tuple[bool, str, str, str]]:
    """Return the first steps: done or not, what to do, why, and where."""
    return [
        (
            steps.recipient is not None,
            "Add a recipient",
            "A group with its addresses, such as a distribution list or a Slack channel.",
            place.address("recipients"),
        ),
        (
            steps.template is not None,
            "Publish a template",
            "How the message looks. Begin with one of the starters.",
            place.address("templates"),
        ),
        (
            steps.client is not None,
            "Create an API client",
            "The credentials with which your system signs in.",
            place.address("clients"),
        ),
        (
            steps.notification,
            "Send the first notification",
            "The guide has the lines to paste, with your own ids filled in.",
            place.address("guide"),
        ),
        (
            steps.live,
            "Go live",
            "Until then the service is on trial.",
            place.address("settings"),
        ),
    ]


ROUTES = [show, refresh]
