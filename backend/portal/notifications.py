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
from backend.db import database as db
from backend.db.models.accounts import Mode
from backend.db.models.notifications import NotificationStatus, Priority
from backend.intake.schema import MAX_AGGREGATOR
from backend.lib import inputs
from backend.portal import live
from backend.portal.access import Workspace
from backend.portal.forms import Faults
from backend.portal.pages import Page, page
from backend.reports import notifications
from backend.reports.notifications import Filter
from backend.search import query as search
from backend.search.query import MOST_CHARACTERS, Query

_AnyRequest = Request[Any, Any, Any]
_LENGTHS = {"template_id": 64, "recipient": 64, "aggregator_id": MAX_AGGREGATOR}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "status": tuple(status.value for status in NotificationStatus),
    "mode": tuple(mode.value for mode in Mode),
    "priority": tuple(priority.name for priority in Priority),
    "channel": tuple(channel.value for channel in Channel),
}
_NAMES = (*_CHOICES, *_LENGTHS, "job", "from", "to", "q", "address")
_LONGEST_ADDRESS = 2048
_DAY_FORM = "Write a day as 2026-03-02."


class Asked(msgspec.Struct, frozen=True):
    """What the address asks for: its filters as they were written, what they mean, and what is wrong with them."""

    given: dict[str, str]
    wanted: Filter
    faults: Faults
    before: UUID | None

    @property
    def search(self) -> str:
        """Return what was written into the search box."""
        return self.given.get("q", "")

    @property
    def kept(self) -> dict[str, str]:
        """Return the filters that stay as they are when something else is searched for."""
        return {name: value for name, value in self.given.items() if name != "q"}

    @property
    def is_search_alone(self) -> bool:
        """Tell whether nothing filters besides what is searched for, on the first page."""
        return self.given.keys() == {"q"} and self.before is None


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
        query=_query(given),
    )
    return Asked(given, wanted, faults, inputs.uid(query.get("before", "")))


def _query(given: dict[str, str]) -> Query | None:
    """Read what is searched for, whatever it is: of what is too long for the box only what it takes."""
    for name, most in (("q", MOST_CHARACTERS), ("address", _LONGEST_ADDRESS)):
        if name in given:
            given[name] = given[name][:most]
    return search.read(given.get("q"), given.get("address")) if given.keys() & {"q", "address"} else None


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
def index(workspace: NamedDependency[Workspace], request: _AnyRequest) -> Page | Redirect:
    """Show a page of the list, or lead to the one notification that a search by an id names."""
    asked = read(request.query_params)
    context = _context(workspace, asked)
    lines, search = context["lines"], asked.wanted.query
    if search is not None and search.digits is not None and len(lines) == 1 and asked.is_search_alone:
        return Redirect(workspace.address(f"notifications/{lines[0].uid}"), status_code=303)
    status = asked.faults.status
    return page(
        "notifications/index.html",
        workspace.viewer,
        current="notifications",
        workspace=workspace,
        status_code=status,
        **context,
    )


@get("/notifications/list", guards=[live.inside_its_page], sync_to_thread=True)
def refresh(workspace: NamedDependency[Workspace], request: _AnyRequest) -> Response[Any]:
    """Answer the first page's own refresh: nothing (204) while it shows what is so."""
    newest, _, latest = request.query_params.get("latest", "").partition(".")
    context = _context(workspace, read(request.query_params))
    if latest == context["mark"]:
        return Response(None, status_code=204)
    uids = [str(line.uid) for line in context["lines"]]
    context["fresh"] = set(uids[: uids.index(newest)] if newest in uids else uids)
    return Template("notifications/_update.html", context=context | {"workspace": workspace}, media_type="text/html")


def _context(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """Describe the list, the same way for the page and for its refresh."""
    with db.current().read() as reading:
        counts = notifications.counts(reading, workspace.service_id)
        found = notifications.page(reading, workspace.service_id, asked.wanted, before=asked.before)
    first = asked.before is None and asked.wanted.query is None
    facts = [(line.uid, line.status, line.facts) for line in found.lines]
    mark = live.mark(facts, counts)
    newest = str(found.lines[0].uid) if found.lines else ""
    return {
        "lines": found.lines,
        "found": found,
        "asked": asked,
        "first": first,
        "filtered": bool(asked.given),
        "tabs": _tabs(workspace, asked, counts),
        "choices": _CHOICES,
        "fresh": set(),
        "mark": mark,
        "moving": first and not (found.lines and all(line.final for line in found.lines)),
        "refresh": _address(workspace, "notifications/list", asked.given, latest=f"{newest}.{mark}"),
        "export": {kind: _address(workspace, f"notifications.{kind}", asked.given) for kind in ("csv", "xlsx")},
        "newest": None if asked.before is None else _address(workspace, "notifications", asked.given),
        "older": _address(workspace, "notifications", asked.given, before=str(found.older)) if found.older else None,
    }


def _tabs(workspace: Workspace, asked: Asked, counts: Mapping[str, int]) -> list[tuple[str, str, str, bool]]:
    """Return the choice of status: its name, how many there are (where nothing else filters), address, chosen."""
    others = {name: value for name, value in asked.given.items() if name != "status"}
    chosen = asked.wanted.status or ""
    tabs = [("", "", _address(workspace, "notifications", others), not chosen)]
    for status in NotificationStatus:
        count = counts[status.value]
        if not count and status.value != chosen:
            continue
        shown = f"{count:,}" if count < notifications.MOST_COUNTED else f"{notifications.MOST_COUNTED - 1:,}+"
        address = _address(workspace, "notifications", others, status=status.value)
        tabs.append((status.value, "" if others else shown, address, status.value == chosen))
    return tabs


def _address(workspace: Workspace, path: str, given: Mapping[str, str], **more: str) -> str:
    query = urlencode({**given, **more})
    return workspace.address(path) + (f"?{query}" if query else "")


ROUTES = [index, refresh]
