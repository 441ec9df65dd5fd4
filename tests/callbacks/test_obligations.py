"""Client systems hear what becomes of their obligations, step by step, and that a matter is resolved."""

import json
from typing import Any
from uuid import UUID

from sqlalchemy import select

from backend.accounts.audit import Actor
from backend.db.models.obligations import ObligationStep
from backend.intake import escalation, matters
from backend.intake.accept import Accepted, accept_many
from backend.obligations import goals, worklist
from backend.obligations.goals import Acknowledgement
from tests.callbacks.conftest import Line
from tests.factories import notification


def _begin(line: Line, name: str, **changes: Any) -> str:
    channels = notification(name)["channels"]
    steps = [{"after": "30m", "channels": channels}, {"after": "1h", "channels": []}]
    body = {"channels": channels, "obligation": {"until": "acknowledged", "steps": steps}, **changes}
    (outcome,) = accept_many([line.lab.submission(body)], lambda _new: None)
    assert isinstance(outcome, Accepted), outcome
    return outcome.notification_id


def _news(line: Line, uid: str | None = None) -> list[dict[str, Any]]:
    found = [json.loads(one.payload) for one in line.messages() if not one.type.startswith("notification.")]
    return [one for one in found if uid in {None, one["data"]["notification_id"]}]


def test_each_end_of_an_obligation_and_each_step_is_told_once(each_line: Line) -> None:
    line = each_line
    service = line.lab.service_id
    line.register()
    met, late, resolved = _begin(line, "S-1"), _begin(line, "S-2"), _begin(line, "S-3", matter="freezer 3")
    with line.database.transaction() as session:
        for _ in range(2):
            goals.acknowledge(session, service, UUID(met), Acknowledgement("Ada", "API"))
    (news,) = _news(line, met)
    data = news["data"]
    assert news["type"] == "obligation.met"
    assert [data["obligation"][one] for one in ("state", "met_by", "met_through")] == ["MET", "Ada", "API"]
    assert data["links"]["self"].endswith(f"/notifications/v1/{met}")

    by = Actor("client", line.lab.client.client_id)
    assert matters.resolve(service, "freezer 3", "Mended.", by)
    assert not matters.resolve(service, "freezer 3", "Mended.", by)
    closed, told = _news(line, resolved)
    assert [closed["type"], told["type"]] == ["obligation.closed", "matter.resolved"]
    assert closed["data"]["obligation"]["closed_through"] == "MATTER"
    expected = {"matter": "freezer 3", "note": "Mended.", "resolved_by": by.name, "obligations_closed": 1}
    assert expected.items() <= told["data"].items()
    assert told["data"]["links"]["matter"].endswith("/notifications/v1/matters/freezer%203")

    for _ in range(3):
        line.clock.forward(minutes=31)
        escalation.escalate.run()
    with line.database.transaction() as session:
        for _ in range(2):
            worklist.close(session, service, UUID(late), "Bob", "Mended.", through="PORTAL")
    taken, waits, closed = _news(line, late)
    assert [one["type"] for one in (taken, waits, closed)] == [
        "obligation.step_taken",
        "obligation.worklist",
        "obligation.closed",
    ]
    assert taken["data"]["step"]["number"] == 1
    assert taken["data"]["step"]["notification_id"] != late
    assert (waits["data"]["obligation"]["state"], closed["data"]["obligation"]["closed_by"]) == ("WORKLIST", "Bob")
    while line.post():
        pass
    posted = [one.type for one in line.receiver.posted if one.type.startswith(("obligation", "matter"))]
    assert sorted(posted) == sorted(one["type"] for one in _news(line))


def test_a_step_that_cannot_be_taken_is_told(line: Line) -> None:
    line.register()
    uid = _begin(line, "S-1")
    with line.database.transaction() as session:
        for row in session.scalars(select(ObligationStep).where(ObligationStep.number == 1)):
            row.content = (row.content or "").replace("X_LAB", "X_GONE")
    line.clock.forward(minutes=31)
    escalation.escalate.run()
    (refused,) = _news(line, uid)
    assert refused["type"] == "obligation.step_refused"
    assert refused["data"]["step"]["detail"]
