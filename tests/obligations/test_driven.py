"""An obligation driven for real: by Slack's interface, an SMTP server, Twilio's and a service desk's.

Step by step to the worklist, or to whoever presses the button behind the link in a mail. What became of it is read
over the API.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from litestar.testing import TestClient

from backend.accounts.oauth import access_tokens
from backend.db.database import Database
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake import escalation
from backend.intake.accept import accept_many
from backend.intake.entries import Accepted
from backend.lib import settings
from tests.application import application
from tests.conftest import MovableClock
from tests.delivery.linked_mail import part
from tests.factories import Laboratory, laboratory
from tests.smtp_server import SmtpServer
from tests.vendors.freshservice import FreshserviceServer
from tests.vendors.slack import SlackServer
from tests.vendors.twilio import TwilioServer

PATH = "/notifications/v1"
LINK = re.compile(r"/acknowledge/[0-9a-f]{56}")
_FIELDS = {"template_id": "X_SAMPLE", "fields": {"sample_id": "S-1"}}


def _step(after: str, kind: str, recipient: str, **more: Any) -> dict[str, Any]:
    return {"after": after, "channels": [{"type": kind, "recipient": [recipient], **_FIELDS, **more}]}


BODY = {
    "obligation": {
        "until": "acknowledged",
        "steps": [
            _step("0s", "SLACK", "X_DUTY"),
            _step("30m", "EMAIL", "X_DUTY", subject="Nobody has answered"),
            _step("4h", "SMS", "X_DUTY", content_type="text"),
            _step("6h", "FRESHSERVICE", "X_DUTY", subject="Nobody has answered"),
            {"after": "8h", "channels": []},
        ],
    }
}


class World:
    """A laboratory with real providers, and what they were given."""

    def __init__(self, lab: Laboratory, stack: ExitStack) -> None:
        self.lab, self.sender = lab, Sender("worker")
        self.slack, self.twilio = stack.enter_context(SlackServer()), stack.enter_context(TwilioServer())
        self.http = stack.enter_context(TestClient(application()))
        self.mail, self.tickets = stack.enter_context(SmtpServer()), stack.enter_context(FreshserviceServer())

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Ask the API as the service's client."""
        token = access_tokens.issue(self.lab.client.client_id, "notifications:send notifications:read")
        return self.http.request(method, path, headers={"Authorization": f"Bearer {token}"}, **options)

    def send(self) -> None:
        """Take what is due, and send it."""
        escalation.escalate.run()
        self.sender.send_some()

    def given(self) -> tuple[int, int, int, int]:
        """Count what the providers of Slack, mail, text messages and tickets have taken."""
        return len(self.slack.taken), len(self.mail.messages), len(self.twilio.taken), len(self.tickets.taken)


@pytest.fixture
def world(
    database: Database,
    moving_clock: MovableClock,
    configure: Callable[..., settings.Settings],
) -> Iterator[World]:
    with ExitStack() as stack:
        lab = laboratory(database)
        made = World(lab, stack)
        configure(
            EMAIL_PROVIDERS=made.mail.address,
            SLACK_PROVIDERS=made.slack.address,
            SMS_PROVIDERS=made.twilio.address,
            FRESHSERVICE_PROVIDERS=made.tickets.address,
        )
        lab.recipient(
            "X_DUTY",
            ("SLACK", "#duty"),
            ("EMAIL", "duty@lab.example"),
            ("SMS", "+447700900123"),
            ("FRESHSERVICE", "desk@lab.example"),
        )
        yield made
        routes.routes.cache_clear()


def told(world: World, uid: str) -> dict[str, Any]:
    answer = world.call("GET", f"{PATH}/{uid}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["obligation"]
    return found


def begun(world: World) -> str:
    """Accept it; not over HTTP, where a busy machine may put off what takes long to render."""
    (outcome,) = accept_many([world.lab.submission(BODY)], lambda _new: None)
    assert isinstance(outcome, Accepted), outcome
    return outcome.notification_id


def test_every_step_is_taken_and_the_worklist_has_what_nobody_answers(world: World, moving_clock: MovableClock) -> None:
    uid = begun(world)
    given = []
    for hours in (0, 0.4, 0.1, 3.5, 2):
        moving_clock.forward(hours=hours)
        world.send()
        given.append(world.given())
    assert given == [(1, 0, 0, 0), (1, 0, 0, 0), (1, 1, 0, 0), (1, 1, 1, 0), (1, 1, 1, 1)]
    assert LINK.search(str(world.slack.taken[0]))
    (mail,) = world.mail.wait_for(1)
    assert LINK.search(part(mail.parsed, "plain"))
    assert told(world, uid)["state"] == "OPEN"
    moving_clock.forward(hours=2)
    world.send()
    found = told(world, uid)
    assert (found["state"], [step["state"] for step in found["steps"]]) == ("WORKLIST", ["SENT"] * 5)
    assert [row["notification_id"] for row in world.call("GET", f"{PATH}/worklist").json()["worklist"]] == [uid]
    assert world.given() == (1, 1, 1, 1)


def test_who_answers_the_mail_spares_the_text_message_and_the_ticket(world: World, moving_clock: MovableClock) -> None:
    uid = begun(world)
    world.send()
    moving_clock.forward(minutes=30)
    world.send()
    (mail,) = world.mail.wait_for(1)
    link = LINK.findall(part(mail.parsed, "plain"))[0]
    asked = world.http.get(link)
    form = {"name": "Ada", "proof": re.findall(r'name="proof" value="([^"]*)"', asked.text)[0]}
    assert (told(world, uid)["state"], world.http.post(link, data=form).status_code) == ("OPEN", 200)
    for _ in range(5):
        moving_clock.forward(hours=2)
        world.send()
    assert world.given() == (1, 1, 0, 0)
    found = told(world, uid)
    assert (found["state"], found["met_through"], found["met_by"]) == ("MET", "LINK", "Ada (duty@lab.example)")
    assert world.call("GET", f"{PATH}/worklist").json()["worklist"] == []
