"""Many hands at once on PostgreSQL and SQLite: batches reopened at the very moment of flushing."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from sqlalchemy import select

from backend.batching import flush, manage
from backend.channels.base import Channel
from backend.db.models.batches import Batch, BatchMember
from backend.db.models.notifications import Delivery
from backend.delivery.sending.send import Sender
from backend.lib.problems import Problem
from tests.batching.conftest import LIST, Harness, samples
from tests.smtp_server import SmtpServer

SENDERS, EACH = 4, 60


def check_messages(server: SmtpServer, names: list[str]) -> None:
    """Find every sample in exactly one message, those of one sender in its order."""
    sent = [samples(received) for received in server.messages]
    assert Counter(name for message in sent for name in message) == Counter(names)
    assert len({received.parsed["Message-ID"] for received in server.messages}) == len(server.messages)
    for message in sent:
        assert len(message) <= 7
        for number in range(SENDERS):
            mine = [int(name.split("-")[1]) for name in message if name.startswith(f"{number}-")]
            assert mine == sorted(mine)


def check_batches(harness: Harness) -> None:
    """Find every batch sent, its members numbered without a gap."""
    with harness.lab.database.read() as session:
        for batch in session.scalars(select(Batch)).all():
            members = session.scalars(select(BatchMember.seq).where(BatchMember.batch_id == batch.id)).all()
            assert sorted(members) == list(range(1, batch.members + 1))
            assert batch.status == "SENT"


def attempt_flush(harness: Harness) -> None:
    """Flush both aggregators, of which most often nothing waits yet."""
    for aggregator_id in ("run-0", "run-1"):
        with suppress(Problem):
            manage.flush_now(harness.lab.service_id, aggregator_id)


def test_arrivals_flushes_and_sending_at_once(mail_harness: Harness, server: SmtpServer) -> None:
    mail_harness.lab.template("X_LIST", LIST, format="text", batch={"max_items": 7})
    arriving = threading.Event()
    arriving.set()

    def send(number: int) -> list[str]:
        names = [f"{number}-{count}" for count in range(EACH)]
        for start in range(0, EACH, 3):
            mail_harness.accept(*names[start : start + 3], aggregator_id=f"run-{number % 2}")
        return names

    def again_and_again(act: Callable[[], object]) -> None:
        while arriving.is_set():
            act()
        act()

    def work(name: str) -> None:
        worker = Sender(name)
        while worker.send_some(limit=3):
            pass

    with ThreadPoolExecutor(9) as pool:
        others = [
            *(pool.submit(again_and_again, lambda: attempt_flush(mail_harness)) for _ in range(2)),
            *(pool.submit(again_and_again, lambda name=name: work(name)) for name in ("one", "two", "three")),
        ]
        names = [
            name for sender in [pool.submit(send, number) for number in range(SENDERS)] for name in sender.result()
        ]
        arriving.clear()
        for other in others:
            other.result()
    attempt_flush(mail_harness)
    work("last")
    check_messages(server, names)
    check_batches(mail_harness)


def test_two_flushers_at_once_make_one_message(harness: Harness) -> None:
    harness.accept("S-1")
    harness.clock.forward(minutes=2)
    with harness.lab.database.read() as session:
        (batch_id,) = flush.due(session)
    together = threading.Barrier(4)

    def dispatch() -> bool:
        together.wait()
        with harness.lab.database.transaction() as session:
            return flush.dispatch(session, batch_id) is not None

    with ThreadPoolExecutor(4) as pool:
        done = [future.result() for future in [pool.submit(dispatch) for _ in range(4)]]
    assert sorted(done) == [False, False, False, True]
    with harness.lab.database.read() as session:
        assert [one.type for one in session.scalars(select(Delivery))] == [Channel.EMAIL]


def test_a_member_that_comes_while_the_batch_is_dispatched_opens_the_next(harness: Harness) -> None:
    harness.accept("S-1")
    harness.clock.forward(minutes=2)
    with harness.lab.database.read() as session:
        (batch_id,) = flush.due(session)
    with ThreadPoolExecutor(1) as pool:
        with harness.lab.database.transaction() as session:
            assert flush.dispatch(session, batch_id) is not None
            # It waits for this transaction: for the row on PostgreSQL, for the one writer on SQLite.
            late = pool.submit(harness.accept, "S-2")
        outcome = late.result()[0]
    assert harness.membership(outcome.notification_id).sequence == 1
    assert [batch.members for batch in harness.waiting()] == [1]
