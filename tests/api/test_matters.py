"""A matter by the API: its messages over all channels, resolving it once on all of them, and opening it again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import func, select

from backend.accounts.audit import Actor
from backend.accounts.oauth import access_tokens
from backend.db.database import Database
from backend.db.models.accounts import Service
from backend.db.models.audit import AuditEntry
from backend.db.models.notifications import Delivery
from backend.delivery import retention
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake import escalation
from backend.intake import matters as resolving
from backend.lib import clock, settings
from backend.lib.problems import Problem
from backend.receipts import secret
from tests.application import application
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory, notification
from tests.smtp_server import SmtpServer
from tests.vendors.freshservice import FreshserviceServer
from tests.vendors.slack import SlackServer

MATTER = "freezer 3/2nd floor"
SCOPES = "notifications:send notifications:read"
PATH = f"/notifications/v1/matters/{quote(MATTER, safe='')}"


@dataclass
class Story:
    """A laboratory that tells three channels of a freezer."""

    http: TestClient[Litestar]
    lab: Laboratory
    clock: MovableClock
    mail: SmtpServer
    slack: SlackServer
    desk: FreshserviceServer

    def call(
        self, method: str, path: str = PATH, scopes: str = "notifications:send notifications:read", **options: Any
    ) -> Any:
        token = access_tokens.issue(self.lab.client.client_id, scopes)
        return self.http.request(method, path, headers={"Authorization": f"Bearer {token}"}, **options)

    def tell(self, sample: str, **changes: Any) -> str:
        """Tell all channels of the freezer, and let the worker work."""
        given = notification(sample, **({"matter": MATTER} | changes))
        (channel,) = given["channels"]
        given["channels"] = [channel | {"type": kind} for kind in ("EMAIL", "SLACK", "FRESHSERVICE")]
        answer = self.call("POST", "/notifications/v1", json=given)
        assert answer.status_code == 202, answer.text
        self.work()
        return str(answer.json()["notification_id"])

    def work(self) -> None:
        for _ in range(3):
            Sender("worker-one").send_some()
            self.clock.forward(seconds=2)

    def resolve(self, **options: Any) -> Any:
        return self.call("POST", f"{PATH}/resolve", **options)


@pytest.fixture
def story(
    any_database: Database, moving_clock: MovableClock, configure: Callable[..., settings.Settings]
) -> Iterator[Story]:
    with SmtpServer() as mail, SlackServer() as slack, FreshserviceServer() as desk:
        configure(
            EMAIL_PROVIDERS=mail.address,
            SLACK_PROVIDERS=slack.address,
            FRESHSERVICE_PROVIDERS=desk.address,
            MAIL_FROM="Laboratory <noreply@lab.example>",
            RATE_LIMIT="1000/second",
        )
        routes.routes.cache_clear()
        lab = laboratory(any_database)
        lab.recipient("X_LAB", ("EMAIL", "lab@lab.example"), ("SLACK", "#alerts"), ("FRESHSERVICE", "a@lab.example"))
        with TestClient(application()) as http:
            yield Story(http, lab, moving_clock, mail, slack, desk)
    routes.routes.cache_clear()


def test_it_is_resolved_on_every_channel_once_and_opened_again_by_its_next_message(story: Story) -> None:
    first = story.tell("S-1")
    assert story.call("GET").json()["state"] == "OPEN"
    answer = story.resolve(json={"note": "A new sensor."})
    assert (answer.status_code, answer.json()["state"], answer.json()["note"]) == (200, "RESOLVED", "A new sensor.")
    again = story.resolve()
    assert (again.status_code, again.json()["resolved_at"]) == (200, answer.json()["resolved_at"])
    story.work()
    begun, told = (one.parsed for one in story.mail.wait_for(2))
    assert (told["In-Reply-To"], told["Subject"]) == (begun["Message-ID"], "Re: A sample has failed")
    assert "A new sensor." in told.get_content()
    root, reply = story.slack.posts.items()
    assert reply[1]["thread_ts"] == root[0]
    assert root[1]["text"].startswith("Resolved: A sample has failed")
    assert "Resolved: A sample has failed" in story.desk.notes[4201][0]["body"]
    report = story.call("GET").json()
    assert (report["messages_total"], len(report["messages"]), report["state"]) == (6, 6, "RESOLVED")
    assert [one["status"] for one in report["messages"]] == ["SENT"] * 6
    assert report["messages"][-1]["notification_id"] == first
    assert {one["channel"] for one in report["messages"]} == {"EMAIL", "SLACK", "FRESHSERVICE"}

    story.tell("S-2")
    opened = story.call("GET").json()
    assert (opened["state"], opened["note"], opened["messages_total"]) == ("OPEN", "A new sensor.", 9)
    assert story.resolve().json()["note"] is None
    with story.lab.database.read() as session:
        entries = session.execute(
            select(AuditEntry.actor, AuditEntry.subject, AuditEntry.detail)
            .where(AuditEntry.action == "matter.resolved")
            .order_by(AuditEntry.id)
        ).all()
    assert [tuple(one) for one in entries] == [
        (story.lab.client.client_id, MATTER, {"messages": 3, "note": "A new sensor."}),
        (story.lab.client.client_id, MATTER, {"messages": 3}),
    ]


def test_its_messages_come_in_pages_and_notifications_name_it(story: Story) -> None:
    identity = story.tell("S-1")
    story.tell("S-2", matter=..., aggregator_id=MATTER)
    page = story.call("GET", params={"limit": 4}).json()
    rest = story.call("GET", params={"limit": 4, "cursor": page["next_cursor"]}).json()
    assert (len(page["messages"]), len(rest["messages"]), rest["next_cursor"]) == (4, 2, None)
    assert len({one["id"] for one in page["messages"] + rest["messages"]}) == 6
    assert story.call("GET", f"/notifications/v1/{identity}").json()["matter"] == MATTER


def test_a_batch_is_about_its_matter_while_it_waits_and_after(story: Story) -> None:
    story.lab.template("X_LIST", "{% for one in fields %}[{{ one.sample_id }}]{% endfor %}", format="text")
    for sample in ("S-1", "S-2"):
        batch = {"priority": "BATCH", "aggregator_id": "run-1", "template_id": "X_LIST"}
        story.tell(sample, **batch)
    waiting = story.call("GET").json()
    assert (waiting["state"], waiting["messages_total"], len(waiting["waiting"])) == ("OPEN", 0, 3)
    assert {(one["aggregator_id"], one["matter"], one["members"]) for one in waiting["waiting"]} == {
        ("run-1", MATTER, 2)
    }
    assert story.call("POST", "/notifications/v1/aggregators/run-1/flush").status_code == 200
    story.work()
    sent = story.call("GET").json()
    assert (sent["messages_total"], sent["waiting"]) == (3, [])
    assert all(one["batch_id"] and one["notification_id"] is None for one in sent["messages"])


def test_what_is_not_there_and_who_may_not(story: Story) -> None:
    assert story.call("GET").status_code == 404
    assert story.resolve().json()["code"] == "not_found"
    assert story.call("GET", "/notifications/v1/matters/%00").status_code == 404
    story.tell("S-1")
    assert story.resolve(scopes="notifications:read").status_code == 403
    assert story.call("GET", scopes="notifications:send").status_code == 403
    assert story.resolve(json={"note": ""}).status_code == 400
    assert story.resolve(json={"why": "x"}).json()["errors"][0]["code"] == "unknown_member"
    assert story.resolve(
        content=b"{",
    ).status_code in {400, 415}
    other = laboratory(story.lab.database, "Elsewhere")
    token = access_tokens.issue(other.client.client_id, "notifications:read")
    assert story.http.get(PATH, headers={"Authorization": f"Bearer {token}"}).status_code == 404
    faults = notification("S-1", matter="a\nb")
    assert story.call("POST", "/notifications/v1", json=faults).json()["errors"][0]["pointer"] == "/matter"


def test_who_is_about_to_be_told_hears_of_the_end_after_that(story: Story) -> None:
    story.lab.recipient("X_LAB", ("EMAIL", "lab@lab.example"))
    assert story.call("POST", "/notifications/v1", json=notification("S-1", matter=MATTER)).status_code == 202
    assert story.resolve().json()["messages_total"] == 2
    story.work()
    begun, told = (one.parsed for one in story.mail.wait_for(2))
    assert told["In-Reply-To"] == begun["Message-ID"]
    assert "Resolved" in told.get_content()


def test_the_days_limit_leaves_it_open(story: Story) -> None:
    story.tell("S-1")
    with story.lab.database.transaction() as session:
        session.get_one(Service, story.lab.service_id).daily_limit = 5
    with pytest.raises(Problem) as caught:
        resolving.resolve(story.lab.service_id, MATTER, None, Actor("person", "ada@lab.example"))
    assert caught.value.code == "daily_limit_reached"
    assert story.call("GET").json()["state"] == "OPEN"
    with story.lab.database.read() as session:
        assert session.scalar(select(func.count(Delivery.id))) == 3


def test_it_is_forgotten_with_its_messages(story: Story) -> None:
    story.tell("S-1")
    story.resolve()
    story.work()
    story.clock.forward(seconds=31 * 24 * 3600)
    with story.lab.database.transaction() as session:
        retention.purge_notifications(session, retention.old_notifications(session))
        retention.purge_matters(session)
    assert story.call("GET").status_code == 404


def owing(kinds: tuple[str, ...] = ("FRESHSERVICE",), **changes: Any) -> dict[str, Any]:
    """Return a notification to a service desk that is to be acknowledged, with a mail after half an hour."""
    (channel,) = notification("S-9")["channels"]
    steps = [{"after": "30m", "channels": [channel | {"type": "EMAIL"}]}, {"after": "1h", "channels": []}]
    whole = {"channels": [channel | {"type": kind} for kind in kinds], "obligation": {"steps": steps}}
    whole["obligation"]["until"] = "acknowledged"
    return whole | changes


def begun(story: Story, body: dict[str, Any]) -> str:
    answer = story.call("POST", "/notifications/v1", json=body)
    assert answer.status_code == 202, answer.text
    story.work()
    return str(answer.json()["notification_id"])


def owed(story: Story, uid: str) -> dict[str, Any]:
    found = story.call("GET", f"/notifications/v1/{uid}").json()["obligation"]
    assert isinstance(found, dict)
    return found


def test_what_is_owed_ends_with_its_matter_and_steps_are_of_its_conversation(story: Story) -> None:
    uid, other = begun(story, owing(matter=MATTER)), begun(story, owing(matter="another"))
    later = (clock.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    scheduled = begun(story, owing(matter=MATTER, send_at=later))
    story.clock.forward(minutes=31)
    escalation.escalate.run()
    story.work()
    (mail, _) = (one.parsed for one in story.mail.wait_for(2))
    assert {one["channel"] for one in story.call("GET").json()["messages"]} == {"EMAIL", "FRESHSERVICE"}

    assert story.resolve(json={"note": "A new sensor."}).status_code == 200
    ended = owed(story, uid)
    told = [ended[name] for name in ("state", "closed_by", "closed_through", "closed_reason")]
    client = story.lab.client.client_id
    assert told == ["CLOSED", client, "MATTER", "What it was about is resolved: A new sensor."]
    assert [owed(story, one)["state"] for one in (other, scheduled)] == ["OPEN", "OPEN"]
    story.work()
    last = story.mail.wait_for(3)[-1].parsed
    assert last["In-Reply-To"] == mail["Message-ID"]
    story.clock.forward(hours=2)
    escalation.escalate.run()
    worklist = story.call("GET", "/notifications/v1/worklist").json()["worklist"]
    assert [one["notification_id"] for one in worklist] == [other]


def test_a_ticket_that_is_closed_resolves_its_matter_and_makes_no_other_ticket(story: Story) -> None:
    url, desk = "/receipts/freshservice", secret.desks()[0]
    uid = begun(story, owing(("FRESHSERVICE", "EMAIL", "SLACK"), matter=MATTER))
    alone = begun(story, owing())
    assert len(story.desk.tickets) == 2
    token = secret.desk_token(desk)
    signed = {"Authorization": f"Bearer {token}"}
    closed = {"ticket_id": "INC-4201", "status": "Closed", "agent": "Ada Lovelace"}
    forged = ({}, {"Authorization": f"Bearer {secret.desk_token('other.example')}"}, {"Authorization": "Basic %%%"})
    for headers in forged:
        assert story.http.post(url, json=closed, headers=headers).status_code == 403
    for body in ({}, [], {"ticket_id": "x", "status": "Closed"}, {"ticket_id": [1], "status": 5}):
        assert story.http.post(url, json=body, headers=signed).status_code == 400, body
    for body in (closed | {"status": "Open"}, closed | {"ticket_id": 4999}):
        assert story.http.post(url, json=body, headers=signed).status_code == 204
    assert [owed(story, one)["state"] for one in (uid, alone)] == ["OPEN", "OPEN"]

    for ticket in story.desk.tickets.values():
        ticket["status"] = 5
    for _ in range(2):
        assert story.http.post(url, json=closed, headers=signed).status_code == 204
    wrapped = {"freshdesk_webhook": {"ticket_id": "INC-4202", "ticket_status": "Resolved"}}
    assert story.http.post(url, json=wrapped, auth=("carillon", token)).status_code == 204
    story.work()
    assert [owed(story, uid)[name] for name in ("state", "closed_by", "closed_through")] == [
        "CLOSED",
        "Ada Lovelace (ticket 4201)",
        "TICKET",
    ]
    assert [owed(story, alone)[name] for name in ("closed_by", "closed_reason")] == [
        "Ticket 4202",
        "The ticket 4202 was closed.",
    ]
    report = story.call("GET").json()
    assert (report["state"], report["resolved_by"]) == ("RESOLVED", "Ada Lovelace (ticket 4201)")
    begin, *_, told = (one.parsed for one in story.mail.wait_for(2))
    assert told["In-Reply-To"] == begin["Message-ID"]
    root, *_ = story.slack.posts.values()
    assert root["text"].startswith("Resolved: ")
    assert (len(story.desk.tickets), story.desk.notes[4201]) == (2, [])

    story.tell("S-3")  # a new ticket, since that of before is closed
    story.desk.tickets[4203]["status"] = 4
    assert story.resolve().status_code == 200
    story.work()
    assert (len(story.desk.tickets), len(story.desk.notes[4203])) == (3, 1)
