"""Whoever answers, and however: every post in Slack that asked for it says so, and has no button any more."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from backend.accounts.audit import Actor
from backend.db.database import Database
from backend.delivery.outcomes import edits
from backend.delivery.providers import routes
from backend.delivery.queueing.claims import Claim
from backend.delivery.sending.compose import Composed, Composer
from backend.delivery.sending.send import Sender
from backend.intake import escalation, follow_up, matters
from backend.intake.accept import accept_many
from backend.intake.entries import Accepted
from backend.lib import clock, settings
from backend.obligations import goals, worklist
from backend.obligations.goals import Acknowledgement
from backend.scheduling.cancel import cancel
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory, notification
from tests.obligations.deaths import Killed, dying_at
from tests.vendors.slack import SlackServer

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
MATTER = "freezer 3"
ADA = Actor("person", "ada@lab.example")


class Team:
    """A channel of Slack that is asked, and asked again after half an hour."""

    def __init__(self, lab: Laboratory, slack: SlackServer, clock: MovableClock) -> None:
        self.lab, self.slack, self.clock = lab, slack, clock

    def ask(self, name: str = "S-1", until: str = "acknowledged", **changes: Any) -> UUID:
        (channel,) = notification(name)["channels"]
        channels = [channel | {"type": "SLACK", "recipient": ["X_DUTY"]}]
        steps = [{"after": "30m", "channels": channels}, {"after": "1h", "channels": []}]
        body = {"channels": channels, "obligation": {"until": until, "steps": steps}} | changes
        (outcome,) = accept_many([self.lab.submission(body)], lambda _new: None)
        assert isinstance(outcome, Accepted), outcome
        self.send()
        return UUID(outcome.notification_id)

    def send(self) -> None:
        escalation.escalate.run()
        for _ in range(3):
            Sender("worker").send_some()
            self.clock.forward(seconds=2)

    def again(self) -> None:
        self.clock.forward(minutes=30)
        self.send()

    def follow(self) -> None:
        follow_up.follow_up.run()
        edits.make.run()

    def answer(self, uid: UUID, through: Any = "API") -> None:
        with self.lab.database.transaction() as session:
            goals.acknowledge(session, self.lab.service_id, uid, Acknowledgement("Ada", through))

    def shown(self) -> list[tuple[bool, str]]:
        """Tell of each post whether it has a button, and what stands in its place."""
        found = []
        for post in self.slack.posts.values():
            blocks = post["blocks"]
            said = [one["elements"][0]["text"] for one in blocks if one["type"] == "context"]
            found.append(("actions" in [one["type"] for one in blocks], " ".join(said)))
        return found


@pytest.fixture
def team(
    any_database: Database, moving_clock: MovableClock, configure: Callable[..., settings.Settings]
) -> Iterator[Team]:
    with SlackServer() as slack:
        configure(SLACK_PROVIDERS=f"{slack.address}&signing_secret={SECRET}")
        routes.routes.cache_clear()
        lab = laboratory(any_database)
        lab.recipient("X_DUTY", ("SLACK", "#duty"))
        yield Team(lab, slack, moving_clock)
    routes.routes.cache_clear()


def close(team: Team, uid: UUID) -> None:
    with team.lab.database.transaction() as session:
        worklist.close(session, team.lab.service_id, uid, "Bob", "Repaired", through="PORTAL")


@pytest.mark.parametrize("end", ["API", "PORTAL", "LINK", "close"])
@pytest.mark.parametrize("about", [{}, {"matter": MATTER}])
def test_every_post_says_who_answered_and_has_no_button(team: Team, end: str, about: dict[str, str]) -> None:
    uid = team.ask(**about)
    team.again()
    assert team.shown() == [(True, ""), (True, "")]
    if end == "close":
        close(team, uid)
    else:
        team.answer(uid, end)
    team.follow()
    said = "✓ Closed by Bob, " if end == "close" else "✓ Acknowledged by Ada, "
    assert [(button, words.startswith(said)) for button, words in team.shown()] == [(False, True)] * 2
    for post in team.slack.posts.values():
        assert "Sample S-1" in json.dumps(post["blocks"])
        assert "/acknowledge/" not in json.dumps(post)
    changed = len(team.slack.taken)
    for _ in range(3):
        team.clock.forward(hours=1)
        team.follow()
    assert len(team.slack.taken) == changed, "once"


def test_the_first_post_shows_the_latest_of_a_matter_whoever_is_answered(team: Team) -> None:
    first, second = team.ask("S-1", matter=MATTER), team.ask("S-2", matter=MATTER)
    team.answer(first)
    team.follow()
    root, reply = team.slack.posts.values()
    assert "Sample S-2" in json.dumps(root["blocks"])
    assert [button for button, _ in team.shown()] == [True, True], "both show what is not answered yet"
    team.answer(second)
    team.follow()
    assert [words[:20] for _, words in team.shown()] == ["✓ Acknowledged by Ad"] * 2
    third = team.ask("S-3", matter=MATTER)
    root, reply, _ = team.slack.posts.values()
    assert "Sample S-3" in json.dumps(root["blocks"])
    assert "Sample S-2" in json.dumps(reply["blocks"])
    team.answer(third)
    follow_up.follow_up.run()
    team.ask("S-4", matter=MATTER)
    edits.make.run()
    root = next(iter(team.slack.posts.values()))
    assert "Sample S-4" in json.dumps(root["blocks"]), "what is said later is not overwritten"


def test_a_resolved_matter_has_no_button_left(team: Team) -> None:
    team.ask(matter=MATTER)
    team.again()
    matters.resolve(team.lab.service_id, MATTER, "A new sensor.", ADA)
    team.send()
    team.follow()
    assert [button for button, _ in team.shown()] == [False] * 3
    root, reply, last = team.slack.posts.values()
    assert root["text"].startswith("Resolved: ")
    assert last["text"].startswith("Resolved: ")
    assert "What it was about is resolved" in json.dumps(reply["blocks"])


@pytest.mark.parametrize("commit", range(1, 6))
@pytest.mark.parametrize("after", [False, True])
def test_a_killed_worker_changes_no_post_twice_and_leaves_none(
    team: Team, commit: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = team.ask()
    team.again()
    team.answer(uid)
    try:
        with dying_at(monkeypatch, commit, after=after):
            team.follow()
    except Killed:
        team.clock.forward(minutes=3)
    team.follow()
    team.follow()
    assert [button for button, _ in team.shown()] == [False, False]
    # Two posts and two changes; a change that was made as its worker died is made again, which changes nothing.
    assert len(team.slack.taken) in {4, 5}


def test_what_is_posted_as_somebody_answers_is_put_right_later(team: Team) -> None:
    team.slack.put_off("#duty")
    uid = team.ask()
    team.answer(uid)
    team.follow()
    assert team.shown() == []
    team.clock.forward(minutes=5)
    team.send()
    assert team.shown() == [(True, "")]
    team.clock.forward(minutes=5)
    team.follow()
    assert [button for button, _ in team.shown()] == [False]


def test_posts_that_could_not_be_made_anew_in_time_are_changed_later(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = team.ask()
    team.answer(uid)

    def late(_composer: Composer, some: Sequence[Claim]) -> Composed:
        return Composed(left=list(some))

    with monkeypatch.context() as patched:
        patched.setattr(Composer, "compose", late)
        team.follow()
    assert [button for button, _ in team.shown()] == [True]
    team.clock.forward(minutes=5)
    team.follow()
    assert [button for button, _ in team.shown()] == [False]


def test_what_has_merely_arrived_or_was_cancelled_changes_no_post(team: Team) -> None:
    uid = team.ask("S-1", until="delivered")
    before = len(team.slack.taken)
    team.answer(uid, "RECEIPT")
    team.follow()
    assert len(team.slack.taken) == before
    scheduled = team.ask("S-2", send_at=clock.iso(clock.now() + timedelta(days=2)))
    cancel(team.lab.service_id, scheduled, ADA)
    team.follow()
    assert len(team.slack.taken) == before
