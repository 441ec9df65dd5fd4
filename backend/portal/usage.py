"""How many messages a service sent by each channel, day by day, over a month or a quarter."""

from datetime import date
from typing import Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from backend.db import database as db
from backend.monitoring import usage
from backend.portal import chart
from backend.portal.access import Workspace
from backend.portal.pages import Page, page

Days = Literal["30", "90"]


@get("/usage", sync_to_thread=True)
def show(workspace: NamedDependency[Workspace], days: FromQuery[Days] = "30") -> Page:
    """Show the last ``days`` days, as bars and as a table."""
    with db.current().read() as reading:
        found = usage.by_day(reading, workspace.service_id, int(days))

    def lead(series: str, first: date, last: date) -> str:
        period = {"from": first.isoformat(), "to": last.isoformat()}
        return workspace.address("notifications", **period, channel=series or None)

    series = sorted({channel for one in found for channel in one.channels})
    drawn = chart.draw(found, series, lambda one: one.channels, lead)
    return page("usage/index.html", workspace.viewer, current="home", workspace=workspace, days=days, chart=drawn)


ROUTES = [show]
