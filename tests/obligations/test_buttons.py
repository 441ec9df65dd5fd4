"""Buttons that acknowledge: pressed in Slack, whose signature is proof of it, and a link in a card of Teams."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import select, update

from backend.db.database import Database
from backend.db.models.notifications import Notification
from backend.db.models.obligations import Obligation
from backend.delivery.outcomes import edits
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake import follow_up
from backend.intake.accept import Accepted, accept_many
from backend.lib import clock, settings
from backend.obligations.report import ObligationReport
from tests.application import application
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory, notification
from tests.vendors.slack import CHANNEL, SlackServer, pressed

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
PATH = "/receipts/slack"


def signed(body: bytes, secret: str = SECRET, age: int = 0) -> dict[str, str]:
    """Sign as Slack does (docs.slack.dev, verifying requests)."""
    stamp = str(int(clock.now().timestamp()) - age)
    proof = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    kind = "application/x-www-form-urlencoded"
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={proof}", "Content-Type": kind}


def form(payload: object) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as running:
        yield running


@pytest.fixture
def lab(
    any_database: Database, slack: SlackServer, configure: Callable[..., settings.Settings]
) -> Iterator[Laboratory]:
    configure(SLACK_PROVIDERS=f"{slack.address}&signing_secret={SECRET}")
    routes.routes.cache_clear()
    made = laboratory(any_database)
    made.recipient("X_DUTY", ("SLACK", "#duty"))
    yield made
    routes.routes.cache_clear()


@pytest.fixture
def http() -> Iterator[TestClient[Litestar]]:
    with TestClient(application()) as client:
        yield client


def owing(until: str = "acknowledged", **changes: Any) -> dict[str, Any]:
    (channel,) = notification()["channels"]
    channels = [channel | {"type": "SLACK", "recipient": ["X_DUTY"]}]
    return {"channels": channels, "obligation": {"until": until, "steps": [{"after": "1h", "channels": []}]}} | changes


def begin(lab: Laboratory, body: dict[str, Any]) -> str:
    (outcome,) = accept_many([lab.submission(body)], lambda _new: None)
    assert isinstance(outcome, Accepted), outcome
    assert Sender("worker").send_some() == 1
    return outcome.notification_id


def told(lab: Laboratory, uid: str) -> ObligationReport:
    found = lab.report(uid)
    assert found.obligation is not None
    return found.obligation


def test_who_presses_the_button_has_acknowledged_and_the_post_says_so(
    lab: Laboratory, slack: SlackServer, http: TestClient[Litestar], moving_clock: MovableClock
) -> None:
    uid = begin(lab, owing())
    ((ts, post),) = slack.posts.items()
    assert [block["type"] for block in post["blocks"]] == ["header", "header", "section", "actions"]
    assert "/acknowledge/" in post["text"]  # where no button is shown, such as on a locked screen
    assert "/acknowledge/" not in json.dumps(post["blocks"])
    payload = pressed(post, CHANNEL, ts)
    body = form(payload)

    unsigned = {"Content-Type": "application/x-www-form-urlencoded"}
    for headers in (unsigned, signed(body, "another"), signed(body, age=301), signed(body, age=-301), signed(b"other")):
        assert http.post(PATH, content=body, headers=headers).status_code == 403
    for content in (b"payload=%7B", b"payload=[]", b"", b"\xff"):
        assert http.post(PATH, content=content, headers=signed(content)).status_code == 400, content
    forged = payload | {"actions": [payload["actions"][0] | {"value": "0" * 56}]}
    other = payload | {"actions": [payload["actions"][0] | {"action_id": "theirs"}]}
    for harmless in (forged, other, payload | {"type": "view_submission"}):
        content = form(harmless)
        assert http.post(PATH, content=content, headers=signed(content)).status_code == 200
    assert told(lab, uid).state == "OPEN"

    for _ in range(2):
        answer = http.post(PATH, content=body, headers=signed(body))
        assert (answer.status_code, answer.content) == (200, b"")
    found = told(lab, uid)
    assert (found.state, found.met_by, found.met_through) == ("MET", "ada (Slack U0ADA)", "SLACK")
    slack.put_off(CHANNEL)
    for _ in range(2):  # the first time Slack is too busy
        follow_up.follow_up.run()
        edits.make.run()
        moving_clock.forward(minutes=1)
    blocks = slack.posts[ts]["blocks"]
    assert [block["type"] for block in blocks] == ["header", "header", "section", "context"]
    assert blocks[-1]["elements"][0]["text"].startswith("✓ Acknowledged by ada (Slack U0ADA), ")
    changed = len(slack.taken)
    moving_clock.forward(minutes=5)
    follow_up.follow_up.run()
    edits.make.run()
    assert (len(slack.taken), len(slack.posts)) == (changed, 1)


def test_a_post_whose_message_is_not_kept_any_more_says_so_at_the_first_press(
    lab: Laboratory, slack: SlackServer, http: TestClient[Litestar], moving_clock: MovableClock
) -> None:
    uid = begin(lab, owing())
    ((ts, post),) = slack.posts.items()
    with lab.database.transaction() as session:
        session.execute(update(Notification).values(content=None))
    body = form(pressed(post, CHANNEL, ts))
    assert http.post(PATH, content=body, headers=signed(body)).status_code == 200
    with lab.database.read() as session:
        assert session.scalars(select(Obligation.state)).all() == ["MET"], uid
    for _ in range(2):
        follow_up.follow_up.run()
        edits.make.run()
        moving_clock.forward(minutes=1)
    blocks = slack.posts[ts]["blocks"]
    assert "actions" not in [block["type"] for block in blocks]
    assert blocks[-1]["elements"][0]["text"].startswith("✓ Acknowledged by ada (Slack U0ADA), ")


def test_what_is_not_acknowledged_by_a_person_has_no_button(lab: Laboratory, slack: SlackServer) -> None:
    begin(lab, owing("delivered"))
    (post,) = slack.posts.values()
    assert "actions" not in [block["type"] for block in post["blocks"]]
