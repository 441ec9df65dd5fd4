"""What is too many for an address itself: each address has a digest of its own, however many come at once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from backend.accounts.audit import Actor
from backend.batching.keys import Key
from backend.channels.base import Channel
from backend.db.models.accounts import Mode
from backend.db.models.batches import Batch, BatchItem, BatchMember
from backend.db.models.notifications import Delivery, Notification, OutboxMessage
from backend.db.models.registry import Template
from backend.delivery.content import memories
from backend.delivery.outcomes import equal_texts, states
from backend.erasure import personal
from backend.erasure.erase import erase
from backend.erasure.person import Person
from backend.intake import one_message, plain
from backend.intake.one_message import OneMessage
from backend.intake.plain import PlainMessage, Refusal
from backend.jobs import messages as reports
from backend.lib import clock, keyring
from backend.lib.problems import Problem
from backend.registry import sending_rules
from backend.registry.sending import SERVICE, EqualTexts, Throttle
from backend.search import pages as searching
from backend.search import query
from backend.search.pages import Search
from tests.scheduling.conftest import Calendar, calendar
from tests.search.conftest import gathered

__all__ = ["calendar"]

ANN, BOB = "ann@lab.example", "bob@lab.example"
BY = Actor("person", "ben@lab.example")
TEXTS = "{% for field in fields %}[{{ field.text }}]{% endfor %}"


@pytest.fixture
def held(calendar: Calendar) -> Calendar:
    """Give a laboratory whose recipients get one message an hour, and a digest of the others."""
    calendar.lab.template("X_LIST", TEXTS, format="text", batch={"item_key": "text"})
    throttle = Throttle(most=1, per="1h", then="digest", digest_template="X_LIST")
    with calendar.lab.database.transaction() as session:
        sending_rules.put_throttle(session, calendar.lab.service_id, SERVICE, throttle)
    return calendar


def text_to(calendar: Calendar, to: str, text: str) -> int:
    message = PlainMessage(channel=Channel.EMAIL, to=to, text=text, subject="Samples", sender="a@service.gov.uk")
    return plain.accept(calendar.lab.service_id, message)


def test_of_many_at_once_one_goes_and_the_rest_are_in_one_digest(held: Calendar) -> None:
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda number: text_to(held, (ANN, BOB)[number % 2], f"T-{number}"), range(16)))
    with held.lab.database.read() as session:
        assert Counter(session.scalars(select(Notification.status))) == {"DISPATCHED": 2, "BUFFERED": 14}
        found = session.execute(select(Batch.address, Batch.members, Batch.recipient, Batch.sender)).all()
        assert sorted(map(tuple, found)) == [(one, 7, "", "a@service.gov.uk") for one in (ANN, BOB)]
        assert set(session.scalars(select(BatchMember.recipient))) == {""}
        assert {one.id for one in reports.of_service(session, held.lab.service_id)} == set(rows)
    held.check_ledger()
    held.clock.forward(hours=1, seconds=1)
    held.work()
    with held.lab.database.read() as session:
        assert set(session.scalars(select(Notification.status))) == {"SENT"}
        gone = session.execute(select(Delivery.address, Delivery.status).where(Delivery.batch_id.is_not(None)))
        assert sorted(map(tuple, gone)) == [(ANN, "SENT"), (BOB, "SENT")]
        memories = set(session.scalars(select(Batch.memory)))
        assert (None in memories, len(memories)) == (False, 2)
    held.check_ledger()


def test_what_waits_in_a_digest_is_found_by_its_address(held: Calendar) -> None:
    rows = [text_to(held, ANN, f"T-{number}") for number in range(2)]
    gathered(held.lab.database)
    with held.lab.database.read() as session:
        wanted = Search(held.lab.service_id, query.read(None, ANN))
        assert sorted(searching.page(session, wanted, before=None, size=9).matches) == rows
        uid = session.scalars(select(Notification.uid).where(Notification.id == rows[1])).one()
    report = held.report(str(uid))
    (recipient,) = report.channels[0].recipients
    assert (report.status, recipient.recipient, recipient.batch is not None) == ("BUFFERED", ANN, True)


def test_a_digest_that_is_tried_with_all_that_is_in_it(held: Calendar) -> None:
    held.lab.template("X_LIST", "{{ fields | length }}: {{ fields[-1].text }}", format="text")
    rows = [text_to(held, ANN, f"T-{number}") for number in range(4)]
    assert len(set(rows)) == 4
    held.clock.forward(hours=1, seconds=1)
    held.work()
    with held.lab.database.read() as session:
        assert session.scalars(select(OutboxMessage.text).order_by(OutboxMessage.id.desc()).limit(1)).one() == "3: T-3"


def test_what_would_break_a_digest_is_refused(held: Calendar) -> None:
    held.lab.template("X_LIST", "{{ fields[0].text if fields | length < 3 else fields[0].gone }}", format="text")
    for number in range(3):
        text_to(held, ANN, f"T-{number}")
    with pytest.raises(Refusal) as caught:
        text_to(held, ANN, "T-3")
    problem = caught.value.problem
    assert (caught.value.reason, problem is not None and "cannot join its digest" in problem.detail) == (
        "held_back",
        True,
    )


def test_a_digest_that_failed_is_found_by_its_address(held: Calendar) -> None:
    rows = [text_to(held, ANN, f"T-{number}") for number in range(2)]
    with held.lab.database.transaction() as session:
        session.execute(update(Template).where(Template.identifier == "X_LIST").values(deleted_at=clock.now()))
    held.clock.forward(hours=1, seconds=1)
    held.work()
    gathered(held.lab.database)
    with held.lab.database.read() as session:
        assert session.scalars(select(Batch.status)).one() == "FAILED"
        wanted = Search(held.lab.service_id, query.read(None, ANN))
        assert sorted(searching.page(session, wanted, before=None, size=9).matches) == rows


def test_a_digest_that_older_code_gave_up_goes(held: Calendar) -> None:
    for number in range(2):
        text_to(held, ANN, f"T-{number}")
    held.clock.forward(hours=1, seconds=1)
    # What a worker does whose code looks for a recipient alone: it finds nobody of an empty name.
    with held.lab.database.transaction() as session:
        batch = session.scalars(select(Batch)).one()
        batch.status, batch.error = "FAILED", f"The recipient {batch.recipient} is no longer registered."
        batch.dispatched_at = batch.closed_at = clock.now()
        states.follow(session, [batch.id])
        assert set(session.scalars(select(Notification.status))) == {"DISPATCHED", "FAILED"}
    held.clock.forward(minutes=1)
    held.work()
    with held.lab.database.read() as session:
        assert session.execute(select(Batch.status, Batch.error)).one() == ("SENT", None)
        assert set(session.scalars(select(Notification.status))) == {"SENT"}
    held.check_ledger()


def test_what_comes_while_its_address_is_erased_goes(held: Calendar, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2):
        text_to(held, ANN, f"T-{number}")
    blank = personal.blank

    def meanwhile(person: Person, *, dry_run: bool) -> int:
        text_to(held, ANN, "T-2")
        return blank(person, dry_run=dry_run)

    monkeypatch.setattr(personal, "blank", meanwhile)
    erase(Person(ANN), BY, from_groups=False, dry_run=False)
    text_to(held, ANN, "T-3")
    held.clock.forward(hours=1, seconds=1)
    held.work()
    with held.lab.database.read() as session:
        found = session.execute(select(Batch.address, Batch.status, Batch.members).where(Batch.members > 0)).all()
    assert list(map(tuple, found)) == [(ANN, "SENT", 2)]


def test_nobody_reads_an_address_from_the_key_of_a_memory(held: Calendar) -> None:
    for number in range(2):
        text_to(held, ANN, f"T-{number}")
    held.clock.forward(hours=1, seconds=1)
    held.work()
    parts = "throttled", Channel.EMAIL.value, ANN, "X_LIST"
    with held.lab.database.read() as session:
        memory = session.scalars(select(Batch.memory)).one()
        assert memory == session.scalars(select(BatchItem.memory)).one()
    assert memory not in {memories.key(held.lab.service_id, Mode.LIVE, *parts), None}


def test_nobody_reads_an_address_from_the_key_of_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    key = Key(
        service_id=1,
        aggregator_id="throttled",
        type="EMAIL",
        recipient="",
        template="X_LIST",
        content_type="text",
        subject=None,
        address=ANN,
    )
    before = key.digest()
    assert before == key.digest()
    monkeypatch.setattr(keyring, "in_use", lambda: [keyring.Key("another key")])
    assert key.digest() != before


def form(calendar: Calendar, to: str, mark: str, *, direct: bool, channel: Channel = Channel.EMAIL) -> OneMessage:
    return OneMessage(
        service_id=calendar.lab.service_id,
        template="X_FORM",
        channel=channel,
        to=to,
        direct=direct,
        subject="A sample" if channel is Channel.EMAIL else None,
        fields={"text": "Warm."},
        mark=mark,
    )


def look(message: OneMessage) -> str | None:
    return one_message.foreseen(message, one_message.validated(message))


@pytest.mark.parametrize(("to", "direct"), [(ANN, True), ("X_LAB", False)])
def test_a_form_foresees_its_digest_and_joins_it(held: Calendar, to: str, direct: bool) -> None:
    held.lab.template("X_FORM", "{{ text }}", format="text")
    assert look(form(held, to, "one", direct=direct)) is None
    one_message.send(form(held, to, "one", direct=direct), BY)
    second = form(held, to, "two", direct=direct)
    assert look(second) == (
        f"Would join a digest made with X_LIST. The recipient {to} gets at most 1 message of the service in 1h."
    )
    ids = [one_message.send(second, BY) for _ in range(2)]  # pressed twice
    assert (ids[0], look(second)) == (ids[1], None)
    assert held.report(str(ids[0])).status == "BUFFERED"
    held.clock.forward(hours=1, seconds=1)
    held.work()
    assert held.report(str(ids[0])).status == "SENT"
    held.check_ledger()


@pytest.mark.parametrize("then", ["refuse", "digest", "wait"])
def test_a_form_with_an_equal_text(calendar: Calendar, monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    monkeypatch.setattr(equal_texts, "within", lambda: timedelta(minutes=10))
    calendar.lab.template("X_FORM", "{{ text }}", format="text")
    calendar.lab.template("X_LIST", TEXTS, format="text")
    rule = {
        "refuse": EqualTexts(then="refuse"),
        "digest": EqualTexts(then="digest", digest_template="X_LIST"),
        "wait": None,
    }[then]
    with calendar.lab.database.transaction() as session:
        sending_rules.put_equal_texts(session, calendar.lab.service_id, SERVICE, rule)

    def number(mark: str) -> OneMessage:
        return form(calendar, "+447700900123", mark, direct=True, channel=Channel.SMS)

    one_message.send(number("one"), BY)
    said = look(number("two")) or ""
    assert "The same text went to this number less than 10 minutes ago" in said or then == "wait"
    if then == "refuse":
        assert said.startswith("Would be refused. ")
        with pytest.raises(Problem, match="The same text went to this number"):
            one_message.send(number("two"), BY)
        return
    assert said.startswith("Would join a digest") or then == "wait"
    uid: UUID = one_message.send(number("two"), BY)
    assert calendar.report(str(uid)).status == ("BUFFERED" if then == "digest" else "DISPATCHED")
    calendar.check_ledger()
