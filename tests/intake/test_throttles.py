"""Throttles: a recipient gets so many messages and no more, however many processes accept at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from backend.accounts.audit import Actor
from backend.batching import report
from backend.channels.base import Channel
from backend.db.models.notifications import OutboxMessage
from backend.db.models.sending import ThrottleUse
from backend.intake import content, explain, one_message, plain, ready
from backend.intake.accept import accept_many
from backend.intake.entries import Accepted, Refused
from backend.intake.one_message import OneMessage
from backend.intake.quotas import Meter
from backend.intake.ready import ReadyMessage
from backend.jobs import queries
from backend.lib import clock
from backend.lib.problems import Problem
from backend.registry import lookup, sending_rules
from backend.registry.sending import SERVICE, Subject, Throttle
from tests.factories import notification as body
from tests.scheduling.conftest import LIST, Calendar, calendar

__all__ = ["calendar"]

TEMPLATE = Subject("template", "X_SAMPLE")
DIGEST = Throttle(most=2, per="1h", then="digest", digest_template="X_LIST")


def hold(calendar: Calendar, throttle: Throttle | None, subject: Subject = TEMPLATE) -> None:
    """Set a throttle."""
    with calendar.lab.database.transaction() as session:
        sending_rules.put_throttle(session, calendar.lab.service_id, subject, throttle)


def uses(calendar: Calendar) -> int:
    """Count what is remembered."""
    with calendar.lab.database.read() as session:
        return session.scalar(select(func.count(ThrottleUse.id))) or 0


def texts(calendar: Calendar) -> list[str]:
    """Return what was sent."""
    with calendar.lab.database.read() as session:
        return [text.strip() for text in session.scalars(select(OutboxMessage.text).order_by(OutboxMessage.id))]


def explained(calendar: Calendar, sample: str, **changes: Any) -> explain.Explanation:
    """Explain a notification."""
    return explain.explain(content.read(calendar.lab.submission(body(sample, **changes))))


def test_what_is_one_too_many_is_refused_until_there_is_room_again(calendar: Calendar) -> None:
    hold(calendar, Throttle(most=2, per="1h"))
    calendar.accept("S-1")
    calendar.clock.forward(minutes=20)
    calendar.accept("S-2")
    told = explained(calendar, "S-3")
    refused = calendar.submit("S-3")

    assert isinstance(refused, Refused)
    assert (refused.problem.code, refused.problem.entry.status, refused.problem.headers) == (
        "recipient_throttled",
        429,
        {"Retry-After": "2400"},
    )
    assert "The recipient X_LAB gets at most 2 messages of the template X_SAMPLE in 1h." in refused.problem.detail
    assert (told.would, [one.code for one in told.errors]) == ("FAIL", ["recipient_throttled"])
    # A repeat of what was taken is none too many, and another recipient has room of its own.
    assert calendar.submit("S-1").status != "FAILED"  # type: ignore[union-attr]
    calendar.lab.recipient("X_OTHER", ("EMAIL", "other@lab.example"))
    calendar.accept("S-4", recipient=["X_OTHER"])
    calendar.clock.forward(minutes=40)
    calendar.accept("S-3")
    assert isinstance(calendar.submit("S-5"), Refused)
    calendar.check_ledger()


def test_what_is_one_too_many_joins_a_digest(calendar: Calendar) -> None:
    hold(calendar, DIGEST)
    ones = [calendar.accept(f"S-{number}", content_type="text") for number in range(2)]
    told = explained(calendar, "S-2", content_type="text")
    assert (told.would, told.batch and told.batch.members) == ("BUFFER", 1)
    outcome = calendar.submit("S-2", content_type="text")
    assert isinstance(outcome, Accepted)
    assert [one.code for one in outcome.warnings] == ["recipient_throttled"]
    ones += [outcome.notification_id, calendar.accept("S-3", content_type="text")]
    assert [calendar.report(one).status for one in ones] == ["DISPATCHED", "DISPATCHED", "BUFFERED", "BUFFERED"]
    calendar.clock.forward(minutes=2)
    calendar.work()
    assert (len(texts(calendar)), texts(calendar)[-1]) == (3, "[S-2][S-3]")
    assert {calendar.report(one).status for one in ones} == {"SENT"}
    calendar.check_ledger()


def test_of_those_that_come_together_as_many_go_as_there_is_room_for(calendar: Calendar) -> None:
    hold(calendar, DIGEST)
    bodies = [calendar.lab.submission(body(f"S-{number}")) for number in range(6)]
    outcomes = accept_many(bodies, lambda _new: None)
    ids = [one.notification_id for one in outcomes if isinstance(one, Accepted)]
    assert [calendar.report(one).status for one in ids] == 2 * ["DISPATCHED"] + 4 * ["BUFFERED"]


def test_high_is_exempt_only_if_the_throttle_says_so(calendar: Calendar) -> None:
    hold(calendar, Throttle(most=1, per="1h", except_high=True))
    for number in range(3):
        calendar.accept(f"H-{number}", priority="HIGH")
    assert uses(calendar) == 0
    hold(calendar, Throttle(most=1, per="1h"))
    calendar.accept("H-4", priority="HIGH")
    assert isinstance(calendar.submit("H-5", priority="HIGH"), Refused)


def test_the_services_throttle_counts_all_its_templates(calendar: Calendar) -> None:
    calendar.lab.template("X_OTHER")
    hold(calendar, Throttle(most=2, per="1d"), SERVICE)
    calendar.accept("S-1")
    calendar.accept("S-2", template_id="X_OTHER")
    assert isinstance(calendar.submit("S-3", template_id="X_OTHER"), Refused)


def test_tests_count_apart(calendar: Calendar) -> None:
    hold(calendar, Throttle(most=1, per="1h"))
    client = calendar.lab.another("test")
    tried = [calendar.lab.submission(body(f"T-{number}"), client) for number in range(2)]
    assert [type(one) for one in accept_many(tried, lambda _new: None)] == [Accepted, Refused]
    calendar.accept("S-1")


def test_what_counts_no_more_is_forgotten(calendar: Calendar) -> None:
    hold(calendar, Throttle(most=5, per="1h"))
    for number in range(4):
        calendar.accept(f"S-{number}")
    calendar.clock.forward(hours=2)
    calendar.accept("S-5")
    assert uses(calendar) == 1


@pytest.mark.parametrize("then", ["refuse", "digest"])
def test_many_at_once_are_held_to_the_number(calendar: Calendar, then: str) -> None:
    digest = "X_LIST" if then == "digest" else None
    hold(calendar, Throttle(most=7, per="1h", then=then, digest_template=digest))  # type: ignore[arg-type]

    def some(worker: int) -> list[Any]:
        bodies = [calendar.lab.submission(body(f"S-{worker}-{number}")) for number in range(5)]
        return [outcome for one in bodies for outcome in accept_many([one], lambda _new: None)]

    with ThreadPoolExecutor(8) as pool:
        outcomes = [outcome for found in pool.map(some, range(8)) for outcome in found]
    accepted = [one.notification_id for one in outcomes if isinstance(one, Accepted)]
    statuses = [calendar.report(one).status for one in accepted]
    assert (statuses.count("DISPATCHED"), uses(calendar)) == (7, 7)
    assert statuses.count("BUFFERED") == (33 if then == "digest" else 0)
    assert len(outcomes) == 40
    calendar.check_ledger()


def test_what_is_not_stored_is_not_counted(calendar: Calendar, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(calendar, Throttle(most=1, per="1h"))

    def dies(*_args: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as broken:
        broken.setattr("backend.intake.store.repeats.remember", dies)
        assert isinstance(calendar.submit("S-1"), Refused)
    assert uses(calendar) == 0
    calendar.accept("S-1")


def test_a_digest_needs_a_template_that_is_there(calendar: Calendar) -> None:
    with pytest.raises(Problem, match="No template 'X_GONE'"):
        hold(calendar, Throttle(most=1, per="1h", then="digest", digest_template="X_GONE"))
    with pytest.raises(Problem, match="no throttle of its own"):
        hold(calendar, DIGEST, Subject("recipient", "X_LAB"))


def test_a_batch_gathers_until_its_recipient_may_have_one_message_more(calendar: Calendar) -> None:
    hold(calendar, Throttle(most=1, per="1h"), SERVICE)
    first = calendar.accept_batched("S-1")
    calendar.clock.forward(minutes=2)
    calendar.work()
    assert (texts(calendar), uses(calendar)) == (["[S-1]"], 1)
    assert isinstance(calendar.submit("S-9"), Refused)  # what is alone counts with what was gathered

    second = calendar.accept_batched("S-2")
    calendar.clock.forward(minutes=2)
    calendar.work()
    calendar.work()
    assert (texts(calendar), calendar.report(second).status) == (["[S-1]"], "BUFFERED")
    with calendar.lab.database.read() as session:
        (waiting,), _ = report.waiting(session, calendar.lab.service_id, limit=10, after=None)
    wait = waiting.waits
    assert wait is not None
    assert (wait.code, wait.until - clock.now()) == ("throttled", timedelta(minutes=58))
    assert wait.detail == "The recipient X_LAB gets at most 1 message of the service in 1h."
    calendar.accept_batched("S-3")
    calendar.clock.forward(minutes=58, seconds=1)
    calendar.work()
    assert texts(calendar) == ["[S-1]", "[S-2][S-3]"]
    assert {calendar.report(one).status for one in (first, second)} == {"SENT"}
    calendar.check_ledger()


def test_rows_that_no_digest_can_keep_wait_their_turn_and_those_of_others_go_on(calendar: Calendar) -> None:
    lab, day = calendar.lab, 10_000
    lab.recipient("X_DUTY", ("EMAIL", "duty@lab.example"))
    hold(calendar, DIGEST, SERVICE)
    calendar.accept("S-0")
    with lab.database.transaction() as session:
        version = lookup.templates(session, lab.service_id, ["X_SAMPLE"])["X_SAMPLE"]
        job = queries.create(session, lab.service_id, "Many", None)
        names = ["X_LAB", "X_LAB", "X_LAB", "X_LAB", "X_DUTY"]
        rows = [
            ReadyMessage(
                uid=UUID(int=number + 1),
                service_id=lab.service_id,
                job_id=job.id,
                channel=Channel.EMAIL,
                template="X_SAMPLE",
                template_version_id=version.version_id,
                content_type="text",
                subject="A sample",
                recipients=(name,),
                addresses=(f"{name.lower()}@lab.example",),
                fields={"sample_id": f"S-{number}"},
                counted_as=name,
                by_itself=True,
            )
            for number, name in enumerate(names)
        ]
        meter = Meter(session, {lab.service_id: day})
        tried = {row.uid: Problem("template_arguments", "It lacks a field.") for row in rows}
        assert ready.accept_each(session, meter, rows, tried).count == len(rows)
    with lab.database.transaction() as session:  # once more, they take nothing
        assert ready.accept_each(session, Meter(session, {lab.service_id: day}), rows, tried).count == 0
    assert uses(calendar) == 6
    begun = clock.now()
    reports = [calendar.report(str(row.uid)) for row in rows]
    assert [one.status for one in reports] == ["DISPATCHED", *["SCHEDULED"] * 3, "DISPATCHED"]
    waits = [one.channels[0].recipients[0].deliveries[0].waits for one in reports]
    turns = [(one.until - begun).total_seconds() / 3600 if one else 0 for one in waits]
    assert turns == [0, 1, 1, 2, 0]
    with lab.database.transaction() as session:  # a change of the rules lets nobody go ahead
        sending_rules.put_throttle(session, lab.service_id, TEMPLATE, Throttle(most=9, per="1h"))
    gone = []
    for _ in range(4):
        calendar.work()
        gone.append(len(texts(calendar)))
        calendar.clock.forward(hours=1, seconds=1)
    assert gone == [3, 5, 6, 6]


def test_what_comes_by_the_alpha_or_a_form_is_held_to_the_same_number(calendar: Calendar) -> None:
    service = calendar.lab.service_id
    hold(calendar, Throttle(most=1, per="1h"), SERVICE)
    text = plain.PlainMessage(channel=Channel.EMAIL, to="ann@lab.example", text="Warm.", subject="Warm")
    plain.accept(service, text)
    with pytest.raises(plain.Refusal, match="held_back"):
        plain.accept(service, text)
    form = OneMessage(
        service_id=service,
        template="X_SAMPLE",
        channel=Channel.EMAIL,
        to="ann@lab.example",
        direct=True,
        subject="A sample",
        fields={"sample_id": "S-1"},
        mark="once",
    )
    with pytest.raises(Problem, match="at most 1 message"):
        one_message.send(form, Actor("person", "ben@lab.example"))
    calendar.clock.forward(hours=1, seconds=1)
    assert one_message.send(form, Actor("person", "ben@lab.example")) == form.uid
    with pytest.raises(plain.Refusal):
        plain.accept(service, text)


def test_forms_to_a_recipient_or_an_address_join_its_digest(calendar: Calendar) -> None:
    hold(calendar, Throttle(most=1, per="1h", then="digest", digest_template="X_LIST"), SERVICE)
    by = Actor("person", "ben@lab.example")

    def sent(to: str, mark: str, *, direct: bool) -> str:
        form = OneMessage(
            service_id=calendar.lab.service_id,
            template="X_SAMPLE",
            channel=Channel.EMAIL,
            to=to,
            direct=direct,
            subject="A sample",
            fields={"sample_id": mark},
            mark=mark,
        )
        return str(one_message.send(form, by))

    forms = [sent("X_LAB", mark, direct=False) for mark in ("S-1", "S-2")]
    assert [calendar.report(one).status for one in forms] == ["DISPATCHED", "BUFFERED"]
    assert any("It joins a digest instead." in one for one in calendar.told(forms[1]))
    forms += [sent("ann@lab.example", mark, direct=True) for mark in ("S-3", "S-4")]
    assert [calendar.report(one).status for one in forms[2:]] == ["DISPATCHED", "BUFFERED"]
    assert any("It joins a digest instead." in one for one in calendar.told(forms[3]))
    # One that its digest cannot be made with is refused: whoever sends it is told.
    calendar.lab.template("X_LIST", "{{ fields[0].gone }}", format="text")
    with pytest.raises(Problem, match=r"at most 1 message.* It cannot join its digest: "):
        sent("ann@lab.example", "S-5", direct=True)
    calendar.lab.template("X_LIST", LIST, format="text")
    calendar.clock.forward(hours=1, seconds=1)
    calendar.work()
    assert sorted(texts(calendar))[-2:] == ["[S-2]", "[S-4]"]
    assert {calendar.report(one).status for one in forms} == {"SENT"}
    calendar.check_ledger()
