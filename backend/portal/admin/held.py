"""What is held back in a restored database: seen by service, channel and age, and decided about."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException

from backend.accounts import services
from backend.accounts.sessions import Viewer
from backend.db import database as db
from backend.db.models.installation import HeldKind
from backend.portal.access import actor
from backend.portal.admin.tabs import ADMIN, admin_page
from backend.portal.forms import Sent
from backend.portal.pages import Page, go
from backend.restored import decisions, report, rows
from backend.restored.decisions import Decision
from backend.restored.report import Group
from backend.restored.rows import Wanted

_PAGE = f"{ADMIN}/held"
_DONE = {
    Decision.RELEASE: "go out now",
    Decision.MARK_SENT: "count as sent",
    Decision.CANCEL: "are cancelled",
}
_WORDS = {
    HeldKind.DELIVERY.value: ("message", "messages"),
    HeldKind.BATCH.value: ("batch", "batches"),
    HeldKind.CALLBACK.value: ("status event", "status events"),
    HeldKind.SPREADSHEET.value: ("job", "jobs"),
}


class DecideForm(msgspec.Struct):
    """What is decided, about what is of a service and a channel."""

    decision: str = ""
    service: str = ""
    channel: str = ""


class _Row(msgspec.Struct):
    """What is held back of one service and channel."""

    service: str
    channel: str
    groups: list[Group]

    @property
    def what(self) -> str:
        """Say how many of what."""
        return ", ".join(f"{group.count:,} {_WORDS[group.kind][group.count != 1]}" for group in self.groups)

    @property
    def ages(self) -> str:
        """Say how many are of which age."""
        names = self.groups[0].ages
        sums = {name: sum(group.ages[name] for group in self.groups) for name in names}
        return ", ".join(f"{count:,} {name}" for name, count in sums.items() if count)


@get("/admin/held", sync_to_thread=True)
def index(viewer: NamedDependency[Viewer]) -> Page:
    """Show what is held back, with the oldest of each service and channel."""
    with db.current().read() as reading:
        found = report.held(reading)
    by_channel: dict[tuple[str, str], _Row] = {}
    for group in found.groups:
        workspace = (group.service, group.channel)
        by_channel.setdefault(workspace, _Row(group.service, group.channel, [])).groups.append(group)
    shown = [by_channel[workspace] for workspace in sorted(by_channel)]
    return admin_page("held", viewer, "held", held=found, rows=shown, callback=rows.CALLBACK)


@post("/admin/held", sync_to_thread=True)
def decide(viewer: NamedDependency[Viewer], data: Sent[DecideForm]) -> Response[Any]:
    """Let it go out, count it as sent, or cancel it."""
    with db.current().read() as reading:
        service = services.service_by_name(reading, data.service)
    if service is None or data.channel not in rows.CHANNELS or data.decision not in set(Decision):
        raise NotFoundException
    decision = Decision(data.decision)
    wanted = Wanted(channel=data.channel, service_id=service.id)
    done = decisions.decide(decision, wanted, actor(viewer)).done.total()
    return go(_PAGE, f"{done:,} of {data.service} {_DONE[decision]}.")


ROUTES = [index, decide]
