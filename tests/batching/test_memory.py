"""Batches that remember what was told: what is new, what goes on, what is over; once, whatever fails on the way."""

from typing import Any

import pytest
from sqlalchemy import func, select, update

from backend.batching import manage, preview
from backend.db.models.batches import Batch, BatchItem, BatchMemory
from backend.db.models.notifications import Delivery
from backend.delivery import reaper, retention
from backend.delivery.content import memories
from backend.delivery.sending.send import Sender
from backend.intake.accept import accept_many
from backend.intake.content import read
from backend.intake.explain import explain
from tests.batching.conftest import Harness
from tests.factories import notification
from tests.smtp_server import SmtpServer

SOURCE = (
    "{% for item in fields.new %}new [{{ item['sample-id'] }}] {{ item.why }}\n{% endfor %}"
    "{% for item in fields.still %}still [{{ item['sample-id'] }}] since {{ item.first_seen[:10] }},"
    " told {{ item.times_told }}\n{% endfor %}"
    "{% for item in fields.resolved %}over [{{ item['sample-id'] }}] {{ item.why }}, told {{ item.times_told }}\n"
    "{% endfor %}"
    "{{ fields | length }} in all, {{ fields[0]['sample-id'] }} first\n"
)
DAY = 24 * 3600
RULES = {"item_key": "sample-id", "only_if_new": True}


@pytest.fixture
def lab(mail_harness: Harness) -> Harness:
    mail_harness.lab.template("X_DAILY", SOURCE, format="text", batch=RULES)
    return mail_harness


def fail(harness: Harness, *names: str, why: str = "late", **changes: Any) -> list[str]:
    """Let samples fail again."""
    bodies = [
        notification(
            template_id="X_DAILY",
            priority="BATCH",
            aggregator_id="run-1",
            fields={"sample-id": name, "why": why, "at": f"{harness.clock()} {number}"},
            **changes,
        )
        for number, name in enumerate(names)
    ]
    outcomes = accept_many([harness.lab.submission(one) for one in bodies], lambda _priorities: None)
    return [str(one.notification_id) for one in outcomes]  # type: ignore[union-attr]


def day(harness: Harness, *names: str, **changes: Any) -> list[str]:
    """Let samples fail, and the batch of the day go out; then it is the next day."""
    sent = fail(harness, *names, **changes)
    harness.clock.forward(seconds=61)
    harness.work()
    harness.clock.forward(seconds=DAY - 61)
    return sent


def told(server: SmtpServer, count: int) -> list[str]:
    """Return what the last of so many mails says, line by line."""
    body = server.wait_for(count)[-1].parsed.get_body(("plain",))
    assert body is not None
    return [line.strip() for line in str(body.get_content()).splitlines() if line.strip()]


def test_the_story_of_three_days_and_more(lab: Harness, server: SmtpServer) -> None:
    first = lab.clock().date().isoformat()
    day(lab, "S-1", "S-2", "S-2")
    assert told(server, 1) == ["new [S-1] late", "new [S-2] late", "3 in all, S-1 first"]
    day(lab, "S-2", "S-3", why="lost")
    second = ["new [S-3] lost", f"still [S-2] since {first}, told 1", "over [S-1] late, told 1", "2 in all, S-2 first"]
    assert told(server, 2) == second
    (quiet,) = day(lab, "S-2")
    assert len(server.messages) == 2
    report = lab.report(quiet)
    assert (report.status, report.events[-1].what) == (
        "CANCELLED",
        "The batch of 1 notification was not sent: nothing in it is new since the last message.",
    )
    assert lab.membership(quiet).why == "nothing_new"
    day(lab, "S-1", "S-2")
    # What was over is new when it comes again; what nobody was told of meanwhile is said to be over now.
    fourth = ["new [S-1] late", f"still [S-2] since {first}, told 2", "over [S-3] lost, told 1", "2 in all, S-1 first"]
    assert told(server, 3) == fourth


def test_each_recipient_template_and_matter_has_its_own(lab: Harness, server: SmtpServer) -> None:
    lab.lab.recipient("X_OTHERS", ("EMAIL", "others@lab.example"))
    day(lab, "S-1")
    day(lab, "S-1", recipient=["X_OTHERS"])
    assert told(server, 2)[0] == "new [S-1] late"
    day(lab, "S-1", matter="another")
    assert told(server, 3)[0] == "new [S-1] late"


def test_a_crash_between_sending_and_remembering_remembers_once(lab: Harness, server: SmtpServer) -> None:
    fail(lab, "S-1")
    lab.clock.forward(seconds=61)
    lab.work()
    with lab.lab.database.transaction() as session:  # as if the worker had died after it marked the message
        session.execute(BatchItem.__table__.delete())
        session.execute(update(BatchMemory).values(written_at=None))
        session.execute(update(Batch).values(status="DISPATCHED"))
        session.execute(update(Delivery).values(claimed_by="a dead worker"))
    for _ in range(2):
        with lab.lab.database.transaction() as session:
            reaper.recover(session, reaper.orphaned(session, "worker-two", ()), ())
    with lab.lab.database.transaction() as session:
        (batch_id, memory) = session.execute(select(Batch.id, Batch.memory)).one()
        memories.remember(session, batch_id, memory)
        assert session.scalars(select(BatchItem.times)).all() == [1]
    lab.clock.forward(seconds=DAY)
    day(lab, "S-1", "S-2")
    assert told(server, 2)[1].endswith("told 1")


def test_every_address_and_every_repeat_is_told_the_same(lab: Harness, server: SmtpServer) -> None:
    lab.lab.recipient("X_LAB", ("EMAIL", "one@lab.example"), ("EMAIL", "two@lab.example"))
    day(lab, "S-1")
    server.wait_for(2)
    day(lab, "S-1", "S-2")
    texts = [one.parsed.get_body(("plain",)).get_content() for one in server.wait_for(4)[2:]]  # type: ignore[union-attr]
    assert texts[0] == texts[1]
    assert "told 1" in texts[0]
    with lab.lab.database.read() as session:
        assert sorted(session.scalars(select(BatchItem.times))) == [1, 2]


def test_what_would_go_is_shown_before(lab: Harness) -> None:
    day(lab, "S-1", "S-2")
    fail(lab, "S-1")
    (made,), _ = preview.previews(lab.lab.service_id, "run-1")
    assert made.news == memories.News(0, 1, 1, goes=False)
    assert "over [S-2]" in (made.text or "")
    fields = {"sample-id": "S-3", "why": "late"}
    body = notification(template_id="X_DAILY", priority="BATCH", aggregator_id="run-1", fields=fields)
    found = explain(read(lab.lab.submission(body)))
    assert found.batch is not None
    assert found.batch.news == memories.News(1, 1, 1, goes=True)


def test_what_has_no_key_is_new_each_time_and_what_has_the_names_keeps_them(harness: Harness) -> None:
    source = "{% for one in fields.new %}[{{ one.first_seen }} {{ one.times_told }}]{% endfor %}"
    harness.lab.template("X_DAILY", source, format="text", batch={"item_key": "sample-id"})
    for _ in range(2):
        fail(harness, "S-1")
        body = notification(
            template_id="X_DAILY",
            priority="BATCH",
            aggregator_id="run-1",
            fields={"first_seen": "mine", "times_told": harness.clock().isoformat()},
        )
        accept_many([harness.lab.submission(body)], lambda _priorities: None)
        (made,), _ = preview.previews(harness.lab.service_id, "run-1")
        assert "[mine " in (made.text or "")
        manage.flush_now(harness.lab.service_id, "run-1")
        harness.work()
        harness.clock.forward(seconds=DAY)
    with harness.lab.database.read() as session:
        assert session.execute(select(func.count(), func.max(BatchItem.times))).one() == (1, 2)


def test_a_failed_batch_remembers_nothing(harness: Harness) -> None:
    harness.lab.template("X_DAILY", "{{ fields.still[0].why }}", format="text", batch={"item_key": "sample-id"})
    with harness.lab.database.transaction() as session:
        session.execute(BatchItem.__table__.delete())
    harness.lab.template("X_DAILY", SOURCE, format="text", batch={"item_key": "sample-id"})
    fail(harness, "S-1")
    harness.lab.recipient("X_LAB", ("SMS", "+447700900123"))
    harness.clock.forward(seconds=61)
    harness.work()
    with harness.lab.database.read() as session:
        assert session.scalar(select(func.count(BatchItem.id))) == 0


def test_memories_are_forgotten_in_their_time(lab: Harness, server: SmtpServer) -> None:
    day(lab, "S-1")
    server.wait_for(1)
    lab.clock.forward(seconds=31 * DAY)
    with lab.lab.database.transaction() as session:
        retention.purge_notifications(session, retention.old_notifications(session))
        retention.purge_batches(session, retention.old_batches(session))
        retention.purge_matters(session)
        for table in (BatchItem, BatchMemory, Batch):
            assert session.scalar(select(func.count()).select_from(table)) == 0
    assert Sender("worker-two").send_some() == 0
