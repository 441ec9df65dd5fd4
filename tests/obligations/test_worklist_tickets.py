"""What nobody answers gets a ticket of the service desk by itself, once whatever crashes, and a note at the end."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import select, update

from backend.accounts.oauth import access_tokens
from backend.db.database import Database
from backend.db.models.obligations import Obligation, ObligationStep, StepState
from backend.db.models.registry import Template
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake import escalation, follow_up, worklist_tickets
from backend.intake.accept import accept_many
from backend.intake.entries import Accepted
from backend.lib import settings
from backend.lib.problems import Problem
from backend.monitoring import obligation_ledger
from backend.obligations import goals
from backend.obligations import worklist_tickets as wanting
from backend.obligations.goals import Acknowledgement
from backend.receipts import secret
from backend.registry import recipient_usage, sending_rules
from backend.registry.sending import SERVICE
from backend.reports import exports
from tests.application import application
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory, notification
from tests.obligations.deaths import Killed, dying_at
from tests.smtp_server import SmtpServer
from tests.vendors.freshservice import FreshserviceServer

PATH = "/notifications/v1"
SCOPES = "notifications:send notifications:read registry:read registry:write"
LINK = re.compile(r"/acknowledge/[0-9a-f]{56}")


@dataclass
class World:
    """A laboratory with a mail server, and a service desk that gets the tickets of its worklist."""

    lab: Laboratory
    clock: MovableClock
    mail: SmtpServer
    desk: FreshserviceServer
    http: TestClient[Litestar]
    jobs: list[Any] = field(default_factory=lambda: [escalation.escalate, worklist_tickets.make, follow_up.follow_up])

    def call(self, method: str, path: str, **options: Any) -> Any:
        token = access_tokens.issue(self.lab.client.client_id, SCOPES)
        return self.http.request(method, path, headers={"Authorization": f"Bearer {token}"}, **options)

    def begin(self, name: str = "S-1", **changes: Any) -> str:
        """Accept what is owed for an hour, and send it."""
        own = changes.pop("obligation", {"until": "acknowledged", "steps": [{"after": "1h", "channels": []}]})
        body = notification(name, **changes) | {"obligation": own}
        (outcome,) = accept_many([self.lab.submission(body)], lambda _new: None)
        assert isinstance(outcome, Accepted), outcome
        self.work()
        return outcome.notification_id

    def work(self, worker: str = "worker") -> None:
        """Do what a worker does, until there is nothing more to do just now."""
        for _ in range(2):
            for job in self.jobs:
                job.run()
            while Sender(worker).send_some():
                pass

    def told(self, uid: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"{PATH}/{uid}").json()["obligation"]
        return found

    def notes(self) -> list[str]:
        return [note["body"] for some in self.desk.notes.values() for note in some]


@pytest.fixture
def world(
    any_database: Database, moving_clock: MovableClock, configure: Callable[..., settings.Settings]
) -> Iterator[World]:
    with ExitStack() as stack:
        mail, desk = stack.enter_context(SmtpServer()), stack.enter_context(FreshserviceServer())
        configure(EMAIL_PROVIDERS=mail.address, FRESHSERVICE_PROVIDERS=desk.address, RATE_LIMIT="1000/second")
        routes.routes.cache_clear()
        lab = laboratory(any_database)
        lab.recipient("X_DESK", ("FRESHSERVICE", "desk@lab.example;group_id=42"))
        made = World(lab, moving_clock, mail, desk, stack.enter_context(TestClient(application())))
        answer = made.call("PUT", "/registry/v1/settings/sending-rules", json={"worklist_ticket": "X_DESK"})
        assert (answer.status_code, answer.json()["worklist_ticket"]) == (200, "X_DESK")
        yield made
    routes.routes.cache_clear()


def test_what_nobody_answers_gets_one_ticket_that_hears_of_the_answer(world: World) -> None:
    uid = world.begin()
    assert world.told(uid)["ticket"] is None
    world.clock.forward(hours=1)
    world.work()
    world.clock.forward(hours=5)
    world.work("another")
    (ticket,) = world.desk.tickets.values()
    assert (ticket["email"], ticket["group_id"]) == ("desk@lab.example", 42)
    assert ticket["subject"] == "Nobody has answered: A sample has failed"
    assert "X_LAB (EMAIL)" in ticket["description"]
    found = world.told(uid)
    assert (found["state"], found["ticket"]["number"], found["ticket"]["status"]) == ("WORKLIST", "4201", "SENT")
    assert [step["kind"] for step in found["steps"]] == ["message", "worklist", "ticket"]
    (listed,) = world.call("GET", f"{PATH}/worklist").json()["worklist"]
    assert listed["obligation"]["ticket"]["number"] == "4201"
    table = exports.worklist(world.lab.service_id)
    (row,) = (dict(zip(table.columns, one, strict=True)) for one in table.rows)
    assert (row["ticket"], row["ticket_detail"]) == ("4201", "")
    assert str(row["ticket_link"]).endswith(f"/notifications/{found['ticket']['notification_id']}")
    events = world.call("GET", f"{PATH}/{uid}").json()["events"]
    assert any("A ticket for the worklist goes to X_DESK" in one["what"] for one in events)

    link = LINK.findall(ticket["description"])[0]
    form = {"name": "Ada", "proof": re.findall(r'name="proof" value="([^"]*)"', world.http.get(link).text)[0]}
    assert world.http.post(link, data=form).status_code == 200
    world.work()
    world.clock.forward(days=1)
    world.work()
    (note,) = world.notes()
    assert "Acknowledged by Ada" in note
    assert len(world.desk.tickets) == 1
    assert world.told(uid)["state"] == "MET"


@pytest.mark.parametrize("commit", range(1, 9))
@pytest.mark.parametrize("after", [False, True])
def test_a_killed_worker_leaves_one_ticket_and_one_note(
    world: World, commit: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = world.begin()
    world.clock.forward(hours=1)
    try:
        with dying_at(monkeypatch, commit, after=after):
            for job in world.jobs:
                job.run()
    except Killed:
        world.clock.forward(minutes=2)
    world.work()
    assert (len(world.desk.tickets), world.told(uid)["ticket"]["status"]) == (1, "SENT")
    with world.lab.database.transaction() as session:
        goals.acknowledge(session, world.lab.service_id, UUID(uid), Acknowledgement("Ada", "API"))
    try:
        with dying_at(monkeypatch, commit, after=after):
            for job in world.jobs:
                job.run()
    except Killed:
        world.clock.forward(minutes=2)
    world.work()
    world.clock.forward(hours=1)
    world.work()
    assert (len(world.desk.tickets), len(world.notes())) == (1, 1)
    with world.lab.database.read() as session:
        assert not [one for one in obligation_ledger.balance(session) if one.imbalance]


def test_one_that_is_answered_before_the_ticket_leaves_gets_none(world: World) -> None:
    uid = world.begin()
    world.clock.forward(hours=1)
    escalation.escalate.run()
    with world.lab.database.transaction() as session:
        goals.acknowledge(session, world.lab.service_id, UUID(uid), Acknowledgement("Ada", "API"))
    world.work()
    other = world.begin("S-2")
    world.clock.forward(hours=1)
    escalation.escalate.run()
    worklist_tickets.make.run()
    answer = world.call("POST", f"{PATH}/{other}/close", json={"reason": "Repaired"})
    assert answer.status_code == 200
    world.work()
    world.clock.forward(hours=1)
    world.work()
    assert (world.desk.tickets, world.notes()) == ({}, [])
    assert [world.told(one)["ticket"]["state"] for one in (uid, other)] == ["CANCELLED", "SENT"]
    assert world.told(other)["ticket"]["status"] == "CANCELLED"


def test_a_matter_has_one_ticket_and_its_resolution_is_said_there_once(world: World) -> None:
    first, second = (world.begin(name, matter="freezer 3") for name in ("S-1", "S-2"))
    world.clock.forward(hours=1)
    for _ in range(3):
        world.work()
        world.clock.forward(seconds=2)
    assert len(world.desk.tickets) == 1
    assert [world.told(one)["ticket"]["number"] for one in (first, second)] == ["4201", "4201"]
    assert len(world.notes()) == 1
    assert world.call("POST", f"{PATH}/matters/freezer%203/resolve", json={}).status_code == 200
    for _ in range(3):
        world.work()
        world.clock.forward(minutes=1)
    assert ["Resolved" in note for note in world.notes()] == [False, True]
    assert {world.told(one)["closed_through"] for one in (first, second)} == {"MATTER"}


def test_the_closed_ticket_ends_the_obligation_and_hears_nothing_more(world: World) -> None:
    uid = world.begin()
    world.clock.forward(hours=1)
    world.work()
    body = {"ticket_id": "INC-4201", "status": "Closed", "agent": "Bob"}
    headers = {"Authorization": f"Bearer {secret.desk_token(secret.desks()[0])}"}
    assert world.http.post("/receipts/freshservice", json=body, headers=headers).status_code == 204
    world.work()
    found = world.told(uid)
    assert (found["state"], found["closed_through"]) == ("CLOSED", "TICKET")
    assert world.notes() == []


def test_a_step_that_made_a_ticket_is_the_ticket(world: World) -> None:
    step = {"type": "FRESHSERVICE", "recipient": ["X_DESK"], "template_id": "X_SAMPLE", "subject": "Warm",
            "fields": {"sample_id": "S-1"}}  # fmt: skip
    steps = [{"after": "30m", "channels": [step]}, {"after": "1h", "channels": []}]
    uid = world.begin(obligation={"until": "acknowledged", "steps": steps})
    for _ in range(4):
        world.clock.forward(minutes=30)
        world.work()
    assert [one["subject"] for one in world.desk.tickets.values()] == ["Warm"]
    assert (world.told(uid)["state"], world.told(uid)["ticket"]) == ("WORKLIST", None)
    world.call("POST", f"{PATH}/{uid}/acknowledge", json={"by": "Ada"})
    world.work()
    (note,) = world.notes()
    assert "Acknowledged by Ada" in note


def test_who_can_get_no_ticket_any_more_is_said_on_the_worklist(world: World) -> None:
    uid = world.begin()
    world.lab.recipient("X_DESK", ("EMAIL", "desk@lab.example"))
    world.clock.forward(hours=1)
    world.work()
    found = world.told(uid)
    assert (found["state"], found["ticket"]["state"]) == ("WORKLIST", "REFUSED")
    assert "X_DESK has no FRESHSERVICE endpoint" in found["ticket"]["detail"]


def test_explaining_tells_who_would_get_the_ticket(world: World) -> None:
    body = notification() | {"obligation": {"until": "acknowledged", "steps": [{"after": "1h", "channels": []}]}}
    told = world.call("POST", f"{PATH}/explain", json=body).json()["obligation"]
    assert told["worklist_ticket"] == {"recipient": "X_DESK", "addresses": ["desk@lab.example;group_id=42"]}


def test_the_recipient_must_be_one_with_a_service_desk_and_stays(world: World) -> None:
    address = "/registry/v1/settings/sending-rules"
    for name in ("X_LAB", "X_NOBODY"):
        answer = world.call("PUT", address, json={"worklist_ticket": name})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/worklist_ticket")
    other = world.call("PUT", "/registry/v1/templates/X_SAMPLE/sending-rules", json={"worklist_ticket": "X_DESK"})
    assert other.status_code == 400
    with world.lab.database.read() as session:
        assert sending_rules.present(session, world.lab.service_id, SERVICE).worklist_ticket == "X_DESK"
        with pytest.raises(Problem, match="tickets"):
            recipient_usage.check_unused(session, world.lab.service_id, "X_DESK")
    assert world.call("PUT", address, json={}).json()["worklist_ticket"] is None
    world.begin()
    world.clock.forward(hours=1)
    world.work()
    assert world.desk.tickets == {}


def test_a_name_that_a_service_took_long_ago_keeps_no_ticket_from_being_made(world: World) -> None:
    world.lab.template("X_TAKEN")
    with world.lab.database.transaction() as session:
        session.execute(update(Template).where(Template.identifier == "X_TAKEN").values(identifier="CARILLON_WORKLIST"))
    world.begin()
    world.clock.forward(hours=1)
    world.work()
    assert len(world.desk.tickets) == 1


def test_what_cannot_be_made_keeps_no_other_ticket_from_being_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.begin("S-1")
    world.begin("S-2")
    world.clock.forward(hours=1)
    escalation.escalate.run()
    about = worklist_tickets._about

    def fail_for_the_first(content: str | None, owed: Obligation) -> str:
        if str(owed.notification_uid) == first:
            raise LookupError("a fault of ours")
        return about(content, owed)

    with monkeypatch.context() as patched:
        patched.setattr(worklist_tickets, "_about", fail_for_the_first)
        world.work()
    assert len(world.desk.tickets) == 1
    world.work()
    assert len(world.desk.tickets) == 2


def test_after_a_ticket_that_was_cancelled_another_one_is_made(world: World) -> None:
    uid = world.begin()
    world.clock.forward(hours=1)
    escalation.escalate.run()
    with world.lab.database.transaction() as session:
        own = ObligationStep.content.startswith('{"worklist_ticket"')
        session.execute(update(ObligationStep).where(own).values(state=StepState.CANCELLED.value))
    page = world.call("GET", f"{PATH}/{uid}").json()["obligation"]
    assert page["ticket"]["state"] == "CANCELLED"
    for _ in range(2):
        with world.lab.database.transaction() as session:
            wanting.want(session, session.scalars(select(Obligation)).one())
    world.work()
    assert (len(world.desk.tickets), world.told(uid)["ticket"]["number"]) == (1, "4201")
