"""The list of notifications: filters in the address bar, keyset pages, rows and counters that keep up by themselves."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.response import Redirect, Template

from backend.channels.base import Channel
from backend.db import session
from backend.db.models.notifications import NotificationStatus, Priority
from backend.intake.schema import MAX_AGGREGATOR
from backend.lib import inputs
from backend.portal import live
from backend.portal.access import Place
from backend.portal.forms import Faults
from backend.portal.pages import Page, page
from backend.reports import listing
from backend.reports.listing import Line, Listed
from backend.reports.notifications import Filter

_AnyRequest = Request[Any, Any, Any]
_LENGTHS = {"template_id": 64, "recipient": 64, "aggregator_id": MAX_AGGREGATOR}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "status": tuple(status.value for status in NotificationStatus),
    "priority": tuple(priority.name for priority in Priority),
    "channel": tuple(channel.value for channel in Channel),
}
_NAMES = ("status", "priority", "channel", "template_id", "recipient", "aggregator_id", "job", "from", "to")
_DAY_FORM = "Write a day as 2026-03-02."


class Asked(msgspec.Struct, frozen=True):
    """What the address asks for: its filters as they were written, what they mean, and what is wrong with them."""

    given: dict[str, str]
    wanted: Filter
    faults: Faults
    search: str
    before: UUID | None


def read(query: Mapping[str, str]) -> Asked:
    """Read the filters of an address; one that cannot be used filters nothing and says what is wrong."""
    given = {name: value for name in _NAMES if (value := query.get(name, "").strip())}
    faults = Faults()
    words: dict[str, Any] = {name: _choice(given, name, faults) for name in _CHOICES}
    words |= {name: _word(given, name, faults) for name in _LENGTHS}
    first, last = _day(given, "from", faults), _day(given, "to", faults)
    wanted = Filter(
        **words,
        job_id=_number(given, "job", faults),
        created_from=_midnight(first) if first else None,
        created_to=_midnight(last) + timedelta(days=1) if last else None,
    )
    return Asked(given, wanted, faults, query.get("q", "").strip()[:80], inputs.uid(query.get("before", "")))


def _choice(given: Mapping[str, str], name: str, faults: Faults) -> str | None:
    value = given.get(name)
    if value is not None and value not in _CHOICES[name]:
        faults.add(name, "Choose one of the list.")
        return None
    return value


def _word(given: Mapping[str, str], name: str, faults: Faults) -> str | None:
    value = given.get(name)
    if value is not None and inputs.word(value, _LENGTHS[name]) is None:
        faults.add(name, f"It has at most {_LENGTHS[name]} printable characters.")
        return None
    return value


def _number(given: Mapping[str, str], name: str, faults: Faults) -> int | None:
    found = inputs.number(given[name]) if name in given else None
    if name in given and found is None:
        faults.add(name, "It is a number.")
    return found


def _day(given: Mapping[str, str], name: str, faults: Faults) -> date | None:
    found = inputs.day(given[name]) if name in given else None
    if name in given and found is None:
        faults.add(name, _DAY_FORM)
    return found


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


@get("/notifications", sync_to_thread=True)
def index(place: NamedDependency[Place], request: _AnyRequest) -> Page | Redirect:
    """Show a page of the list, or lead to the one notification that a search names."""
    asked = read(request.query_params)
    found = _search(place, asked.search) if asked.search else None
    if found is not None and len(found) == 1:
        return Redirect(place.address(f"notifications/{found[0].uid}"), status_code=303)
    context = _context(place, asked, found)
    status = asked.faults.status
    return page(
        "notifications/index.html", place.viewer, current="notifications", place=place, status_code=status, **context
    )


@get("/notifications/list", sync_to_thread=True)
def refresh(place: NamedDependency[Place], request: _AnyRequest) -> Response[Any]:
    """Answer the first page's own refresh: nothing (204) while it shows what is so."""
    newest, _, latest = request.query_params.get("latest", "").partition(".")
    context = _context(place, read(request.query_params), None)
    if latest == context["mark"]:
        return Response(None, status_code=204)
    uids = [str(line.uid) for line in context["lines"]]
    context["fresh"] = set(uids[: uids.index(newest)] if newest in uids else uids)
    return Template("notifications/_update.html", context=context | {"place": place}, media_type="text/html")


def _search(place: Place, text: str) -> list[Line] | None:
    with session.current().read() as reading:
        return listing.search(reading, place.service_id, text)


def _context(place: Place, asked: Asked, searched: list[Line] | None) -> dict[str, Any]:
    """Describe the list, the same way for the page and for its refresh."""
    with session.current().read() as reading:
        counts = listing.counts(reading, place.service_id)
        if asked.search:
            found = Listed(searched or [])
        else:
            found = listing.page(reading, place.service_id, asked.wanted, before=asked.before)
    first = asked.before is None and not asked.search
    mark = live.mark([(line.uid, line.status) for line in found.lines], counts)
    newest = str(found.lines[0].uid) if found.lines else ""
    return {
        "lines": found.lines,
        "found": found,
        "asked": asked,
        "first": first,
        "filtered": bool(asked.given) or bool(asked.search),
        "tabs": _tabs(place, asked, counts),
        "choices": _CHOICES,
        "fresh": set(),
        "mark": mark,
        "moving": first and not (found.lines and all(line.final for line in found.lines)),
        "refresh": _address(place, "notifications/list", asked.given, latest=f"{newest}.{mark}"),
        "newest": None if first else _address(place, "notifications", asked.given),
        "older": _address(place, "notifications", asked.given, before=str(found.older)) if found.older else None,
    }


def _tabs(place: Place, asked: Asked, counts: Mapping[str, int]) -> list[tuple[str, str, str, bool]]:
    """Return the choice of status: its name, how many there are (where nothing else filters), address, chosen."""
    others = {name: value for name, value in asked.given.items() if name != "status"}
    chosen = asked.wanted.status or ""
    tabs = [("", "", _address(place, "notifications", others), not chosen)]
    for status in NotificationStatus:
        count = counts[status.value]
        if not count and status.value != chosen:
            continue
        shown = f"{count:,}" if count < listing.MOST_COUNTED else f"{listing.MOST_COUNTED - 1:,}+"
        address = _address(place, "notifications", others, status=status.value)
        tabs.append((status.value, "" if others else shown, address, status.value == chosen))
    return tabs


def _address(place: Place, path: str, given: Mapping[str, str], **more: str) -> str:
    query = urlencode({**given, **more})
    return place.address(path) + (f"?{query}" if query else "")


ROUTES = [index, refresh]
