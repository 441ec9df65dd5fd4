"""Text messages that a network would refuse for being equal: refused, joined to a digest or let wait, as chosen."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from backend.batching import report
from backend.batching.tasks import sweep
from backend.channels.base import Channel
from backend.intake import content, explain, plain
from backend.intake.accept import accept_many
from backend.intake.entries import Accepted, IntakeResult, Refused
from backend.intake.plain import PlainMessage
from backend.registry import sending_rules
from backend.registry.sending import SERVICE, EqualTexts, Subject
from backend.scheduling.tasks import end_waits
from tests.conftest import MovableClock
from tests.delivery.desk import Desk, desk
from tests.delivery.doubles import Scripted
from tests.factories import notification

__all__ = ["desk"]

TEMPLATE = Subject("template", "X_TEXT")
REFUSE = EqualTexts(then="refuse")
DIGEST = EqualTexts(then="digest", digest_template="X_TEXTS")
SMS: dict[str, Any] = {
    "type": "SMS",
    "recipient": ["X_PHONE"],
    "template_id": "X_TEXT",
    "content_type": "text",
    "subject": ...,
}


class Strict(Scripted):
    """A provider whose networks take no equal text within ten minutes."""

    equal_within = 600


@pytest.fixture
def strict(desk: Desk) -> Strict:
    desk.lab.recipient("X_PHONE", ("SMS", "+447700900123"))
    desk.lab.recipient("X_OTHER", ("SMS", "+447700900124"))
    desk.lab.template("X_TEXT", "{{ text }}", format="text")
    desk.lab.template("X_TEXTS", "{% for field in fields %}[{{ field.text }} {{ field.n }}]{% endfor %}", format="text")
    made = Strict("one", channel=Channel.SMS)
    desk.use(made)
    return made


def choose(desk: Desk, equal: EqualTexts | None, subject: Subject = TEMPLATE) -> None:
    with desk.lab.database.transaction() as session:
        assert sending_rules.put_equal_texts(session, desk.lab.service_id, subject, equal)


def body(number: int, text: str = "Warm.", **changes: Any) -> dict[str, Any]:
    return notification(str(number), fields={"text": text, "n": number}, **(SMS | changes))


def submit(desk: Desk, number: int, text: str = "Warm.", **changes: Any) -> IntakeResult:
    (outcome,) = accept_many([desk.lab.submission(body(number, text, **changes))], lambda _new: None)
    return outcome


def explained(desk: Desk, number: int, text: str = "Warm.", **changes: Any) -> explain.Explanation:
    return explain.explain(content.read(desk.lab.submission(body(number, text, **changes))))


@pytest.mark.parametrize("subject", [TEMPLATE, SERVICE])
def test_an_equal_text_is_refused_until_networks_take_it_again(
    desk: Desk, strict: Strict, moving_clock: MovableClock, subject: Subject
) -> None:
    choose(desk, REFUSE, subject)
    assert isinstance(submit(desk, 1), Accepted)
    told = explained(desk, 2)
    assert (told.would, [one.code for one in told.errors]) == ("FAIL", ["equal_text"])
    refused = submit(desk, 2)  # nothing has left yet
    assert isinstance(refused, Refused)
    problem = refused.problem
    assert (problem.code, problem.entry.status, problem.headers) == ("equal_text", 429, {"Retry-After": "600"})
    assert "The same text went to this number less than 10 minutes ago, to the recipient X_PHONE." in problem.detail
    again = submit(desk, 1)
    assert isinstance(again, Accepted)
    assert again.duplicate
    assert isinstance(submit(desk, 3, "Cold."), Accepted)
    assert isinstance(submit(desk, 4, recipient=["X_OTHER"]), Accepted)
    desk.drain()
    assert len(strict.taken) == 3
    moving_clock.forward(minutes=10, seconds=1)
    assert explained(desk, 2).would == "DISPATCH"
    assert isinstance(submit(desk, 2), Accepted)
    desk.drain()
    assert len(strict.taken) == 4


def test_an_equal_text_joins_a_digest(desk: Desk, strict: Strict) -> None:
    choose(desk, DIGEST)
    assert isinstance(submit(desk, 1), Accepted)
    told = explained(desk, 2)
    assert (told.would, told.batch and told.batch.members) == ("BUFFER", 1)
    for number in (2, 3):
        outcome = submit(desk, number)
        assert isinstance(outcome, Accepted)
        (warning,) = outcome.warnings
        assert (warning.code, warning.detail.endswith("It joins a digest instead.")) == ("equal_text", True)
    desk.drain()
    with desk.lab.database.read() as session:
        (open_batch,), _ = report.waiting(session, desk.lab.service_id, limit=10, after=None)
    assert (open_batch.template_id, open_batch.members) == ("X_TEXTS", 2)
    assert [message.text for message in strict.taken] == ["Warm."]


@pytest.mark.parametrize("then", ["refuse", "digest", "wait"])
def test_texts_of_the_alpha_are_equal_to_those_of_notifications(
    desk: Desk, strict: Strict, moving_clock: MovableClock, then: str
) -> None:
    if then != "wait":
        choose(desk, REFUSE if then == "refuse" else DIGEST, SERVICE)
    desk.lab.template("X_TEXTS", "{% for field in fields %}[{{ field.text }}]{% endfor %}", format="text")
    text = PlainMessage(channel=Channel.SMS, to="+447700900123", text="Warm.")
    assert isinstance(submit(desk, 1), Accepted)
    if then == "refuse":
        with pytest.raises(plain.Refusal, match="held_back"):
            plain.accept(desk.lab.service_id, text)
        desk.drain()
        with pytest.raises(plain.Refusal, match="held_back"):  # sent or not yet
            plain.accept(desk.lab.service_id, text)
        moving_clock.forward(minutes=10, seconds=1)
    plain.accept(desk.lab.service_id, text)
    desk.drain()
    assert [message.text for message in strict.taken] == ["Warm."] * (2 if then == "refuse" else 1)
    moving_clock.forward(minutes=21)
    end_waits.run()
    sweep.run()
    desk.drain()
    assert [message.text for message in strict.taken] == ["Warm.", "[Warm.]" if then == "digest" else "Warm."]


def test_of_several_at_once_that_are_equal_one_is_taken(desk: Desk, strict: Strict) -> None:
    choose(desk, REFUSE)
    together = accept_many([desk.lab.submission(body(number)) for number in range(3)], lambda _new: None)
    assert [isinstance(one, Accepted) for one in together] == [True, False, False], together
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda number: submit(desk, number, "Hot."), range(10, 18)))
    assert sum(isinstance(one, Accepted) for one in outcomes) == 1
    desk.drain()
    assert sorted(message.text for message in strict.taken) == ["Hot.", "Warm."]


def test_without_a_choice_it_waits_and_explaining_says_until_when(
    desk: Desk, strict: Strict, moving_clock: MovableClock
) -> None:
    submit(desk, 1)
    desk.drain()
    moving_clock.forward(minutes=4)
    (wait,) = explained(desk, 2).waits
    assert (wait.code, wait.recipients) == ("equal_text", ["X_PHONE"])
    assert round((wait.until - moving_clock.moment).total_seconds()) == 360
    assert isinstance(submit(desk, 2), Accepted)
    desk.drain()
    assert len(strict.taken) == 1


def test_what_is_refused_for_something_else_takes_no_text(desk: Desk, strict: Strict) -> None:
    choose(desk, REFUSE)
    assert isinstance(submit(desk, 1, recipient=["X_PHONE", "X_NOBODY"]), Refused)
    assert isinstance(submit(desk, 2), Accepted)
    mixed = body(3)
    mixed["channels"].append(notification()["channels"][0])
    choose(desk, DIGEST)
    (outcome,) = accept_many([desk.lab.submission(mixed)], lambda _new: None)
    assert isinstance(outcome, Refused), "a digest is of texts alone"
    assert outcome.problem.code == "equal_text"


def test_the_choice_is_kept_for_templates_and_the_service(desk: Desk, strict: Strict) -> None:
    with desk.lab.database.transaction() as session:
        with pytest.raises(sending_rules.Problem, match="recipient has no rule"):
            sending_rules.put_equal_texts(session, desk.lab.service_id, Subject("recipient", "X_PHONE"), REFUSE)
        gone = EqualTexts(then="digest", digest_template="X_GONE")
        with pytest.raises(sending_rules.Problem, match="X_GONE"):
            sending_rules.put_equal_texts(session, desk.lab.service_id, SERVICE, gone)
    choose(desk, DIGEST, SERVICE)
    choose(desk, REFUSE, TEMPLATE)
    submit(desk, 1)
    assert isinstance(submit(desk, 2), Refused), "the template's own choice comes first"
