"""Rows to addresses that are too many, or equal texts: what was foreseen, what they become, and sending them again."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from backend.batching import flush, wording
from backend.batching import report as batches
from backend.channels.base import Channel
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.delivery.outcomes import equal_texts
from backend.delivery.outcomes.record import RENDERING
from backend.erasure.erase import erase
from backend.erasure.person import Person
from backend.jobs import control, exports, preview
from backend.jobs.columns import address_name
from backend.jobs.queries import JobReport
from backend.jobs.queries import one as job_report
from backend.registry import sending_rules
from backend.registry.sending import SERVICE, EqualTexts
from tests.erasure.test_erase import named
from tests.jobs.conftest import BY
from tests.jobs.test_throttled_rows import DIGEST, Mailing, calendar, mailing
from tests.scheduling.conftest import LIST
from tests.search.conftest import gathered

__all__ = ["calendar", "mailing"]

ANN, BOB = "ann@lab.example", "bob@lab.example"
ROWS = [ANN, BOB, ANN, ANN, ANN]
WHY = f"The recipient {ANN} gets at most 2 messages of the service in 1h."


def foreseen(mailing: Mailing) -> list[str | None]:
    return [one.held for one in preview.first_rows(mailing.lab.service_id, mailing.job_id)]


def send_digests(mailing: Mailing) -> None:
    mailing.calendar.clock.forward(hours=1, seconds=1)
    mailing.calendar.work()


def report(mailing: Mailing) -> JobReport:
    with mailing.lab.database.read() as session:
        found = job_report(session, mailing.lab.service_id, mailing.job_id)
    assert found is not None
    return found


def test_rows_to_addresses_join_the_digest_of_each(mailing: Mailing) -> None:
    mailing.hold(DIGEST)
    mailing.check("email address", [ANN, BOB, ANN, ANN.upper(), ANN, BOB, BOB])
    joins = f"Would join a digest made with X_LIST. The recipient {ANN.upper().replace('LAB.EXAMPLE', 'lab.example')}"
    said = foreseen(mailing)
    assert said[:3] == [None] * 3
    assert said[3] is None or said[3].startswith(joins)  # another mailbox, for all that one knows
    assert said[4] == f"Would join a digest made with X_LIST. {WHY}"
    mailing.send_all()
    assert Counter(mailing.statuses()) == {"DISPATCHED": 5, "BUFFERED": 2}
    mailing.calendar.check_ledger()
    with mailing.lab.database.read() as session:
        shown, _ = batches.waiting(session, mailing.lab.service_id, limit=10, after=None)
    assert sorted((one.recipient, one.members) for one in shown) == [(ANN, 1), (BOB, 1)]
    table = exports.results(mailing.lab.service_id, mailing.job_id)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    gathered = [(one["row"], one["recipient"], one["address"]) for one in rows if one["status"] == "BUFFERED"]
    assert gathered == [(6, ANN, ANN), (8, BOB, BOB)]
    send_digests(mailing)
    assert sorted(mailing.sent())[-2:] == ["[S-6]", "[S-8]"]
    assert set(mailing.statuses()) == {"SENT"}
    mailing.calendar.check_ledger()


def test_a_secret_address_lies_sealed_and_is_shown_by_its_ends(mailing: Mailing) -> None:
    mailing.hold(DIGEST)
    hook = "https://hooks.slack.com/services/T0000/B0000/plantedAndSecret"
    mailing.upload(f"{address_name(Channel.SLACK)},sample_id\n" + f"{hook},S-1\n" * 4, Channel.SLACK)
    mailing.work()
    mailing.send_all()
    assert mailing.statuses().count("BUFFERED") == 2
    assert named(mailing.lab.database, "planted") == set()
    with mailing.lab.database.read() as session:
        ((shown,), _) = batches.waiting(session, mailing.lab.service_id, limit=10, after=None)
        assert session.scalars(select(Batch.address)).one() == hook
    assert shown.recipient == "https://hooks.slack.com/…cret"
    mailing.calendar.work()
    with mailing.lab.database.read() as session:
        waits = session.scalars(select(Batch.waits_why)).one() or ""
    assert "planted" not in waits
    send_digests(mailing)
    assert mailing.sent()[-1] == "[S-1][S-1]"
    assert named(mailing.lab.database, "planted") == set()


def test_an_erased_address_is_taken_out_of_its_digests(mailing: Mailing) -> None:
    mailing.hold(DIGEST)
    mailing.check("email address", [ANN] * 4)
    mailing.send_all()
    send_digests(mailing)
    mailing.check("email address", [ANN] * 5 + [BOB])
    mailing.send_all()
    mailing.calendar.work()
    assert mailing.statuses().count("BUFFERED") == 4
    gathered(mailing.lab.database)
    counted = erase(Person(ANN), BY, from_groups=False, dry_run=True)
    assert {"batches", "deliveries", "notifications"} <= named(mailing.lab.database)
    done = erase(Person(ANN), BY, from_groups=False, dry_run=False)
    assert (done.tables, done.cancelled, done.blanked) == (counted.tables, counted.cancelled, counted.blanked)
    assert (done.cancelled, named(mailing.lab.database), named(mailing.lab.database, "S-11")) == (1, set(), set())
    assert mailing.statuses().count("CANCELLED") == 4
    send_digests(mailing)
    assert len(mailing.sent()) == 5
    mailing.calendar.check_ledger()


def send_again(mailing: Mailing) -> None:
    mailing.calendar.clock.forward(seconds=5)
    control.again(mailing.lab.service_id, mailing.job_id, BY)
    assert mailing.work().stage == "DONE"
    mailing.calendar.work()


def fail_to_render(mailing: Mailing, send: Callable[[Mailing], None]) -> None:
    """Let the digest's message fail as it is rendered."""
    mailing.lab.template("X_LIST", "{{ fields[0].gone }}", format="text")
    send(mailing)


def fail_to_be_made(mailing: Mailing, send: Callable[[Mailing], None]) -> None:
    """Let nothing come of the digest at all."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(wording, "of_batch", lambda *_args: None)
        send(mailing)


@pytest.mark.parametrize("fail", [fail_to_render, fail_to_be_made])
@pytest.mark.parametrize("column", ["email address", "recipient"])
def test_a_failed_digest_is_sent_again_with_its_job_once(
    mailing: Mailing, fail: Callable[[Mailing, Callable[[Mailing], None]], None], column: str
) -> None:
    mailing.hold(DIGEST)
    mailing.check(column, [ANN if column == "email address" else "X_LAB"] * 5)
    mailing.send_all()
    mailing.calendar.work()
    fail(mailing, send_digests)
    assert mailing.statuses() == ["SENT"] * 2 + ["FAILED"] * 3
    assert report(mailing).failed == 3
    fail(mailing, send_again)  # it fails once more while nothing is mended
    assert mailing.statuses() == ["SENT"] * 2 + ["FAILED"] * 3
    mailing.lab.template("X_LIST", LIST, format="text")
    for _ in range(2):
        send_again(mailing)
        assert mailing.sent() == ["S-2", "S-3", "[S-4][S-5][S-6]"]
        assert mailing.statuses() == ["SENT"] * 5
    mailing.calendar.check_ledger()


def test_a_worker_that_dies_as_a_digest_leaves_sends_it_once(mailing: Mailing, monkeypatch: pytest.MonkeyPatch) -> None:
    mailing.hold(DIGEST)
    mailing.check("email address", [ANN] * 4)
    mailing.send_all()
    mailing.calendar.work()

    def dies(*_args: Any, **_more: Any) -> None:
        raise RuntimeError("killed")

    mailing.calendar.clock.forward(hours=1, seconds=1)
    with monkeypatch.context() as broken:
        broken.setattr(flush, "_tell", dies)
        with pytest.raises(RuntimeError, match="killed"):
            mailing.calendar.work()
    assert mailing.statuses().count("BUFFERED") == 2
    with mailing.lab.database.read() as session:
        assert session.scalars(select(Batch.status)).one() == "OPEN"
    mailing.calendar.work()
    mailing.calendar.work()
    assert mailing.sent() == ["S-2", "S-3", "[S-4][S-5]"]
    with mailing.lab.database.read() as session:
        (row,) = session.scalars(select(Delivery).where(Delivery.batch_id.is_not(None)))
        assert (row.status, row.address, row.recipients) == (DeliveryStatus.SENT, ANN, [])
        assert row.provider != RENDERING


EQUAL = {
    "refuse": (EqualTexts(then="refuse"), ["DISPATCHED"] * 2, "Would be refused. "),
    "digest": (
        EqualTexts(then="digest", digest_template="X_LIST"),
        ["DISPATCHED"] * 2 + ["BUFFERED"] * 2,
        "Would join a digest made with X_LIST. ",
    ),
    "wait": (None, ["DISPATCHED"] * 4, "Would wait for its turn. Waits until "),
}


@pytest.mark.parametrize("then", EQUAL)
def test_equal_texts_of_rows_become_what_the_service_says(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    rule, statuses, said = EQUAL[then]
    monkeypatch.setattr(equal_texts, "within", lambda: timedelta(minutes=10))
    mailing.lab.template("X_SAMPLE", "Warm.{% set _ = fields.sample_id %}", format="text")
    with mailing.lab.database.transaction() as session:
        sending_rules.put_equal_texts(session, mailing.lab.service_id, SERVICE, rule)
    numbers = ["+447700900123", "+447700900123", "+447700900124", "+447700900123"]
    lines = "".join(f"{number},S-{row}\n" for row, number in enumerate(numbers, 2))
    mailing.upload(f"phone number,sample_id\n{lines}", Channel.SMS)
    mailing.work()
    told = foreseen(mailing)
    assert [one is None for one in told] == [True, False, True, False]
    same = "The same text went to this number less than 10 minutes ago"
    assert all(one is None or (one.startswith(said) and same in one) for one in told)
    sheet = mailing.send_all()
    assert sorted(mailing.statuses(), reverse=True) == sorted(statuses, reverse=True)
    assert (sheet.stage, sheet.faulty_rows) == ("DONE", 2 if then == "refuse" else 0)
    assert [row for row, _, reason in mailing.faults() if same in reason] == ([3, 5] if then == "refuse" else [])
    mailing.calendar.check_ledger()
    if then == "digest":
        send_digests(mailing)
        assert mailing.sent()[-1] == "[S-3][S-5]"
        assert set(mailing.statuses()) == {"SENT"}
