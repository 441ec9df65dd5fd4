"""Whose turn it is: services share, HIGH goes first, and the cost of a claim does not grow with what waits."""

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import event, select, update

from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.leases import Lease
from backend.db.models.notifications import Delivery, Priority
from backend.delivery import tasks
from backend.delivery.queueing import claims, fairness
from backend.delivery.queueing.fairness import FairScheduler
from backend.intake.accept import accept_many
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory, notification


def fill(lab: Laboratory, count: int, **changes: Any) -> None:
    prefix = lab.recipient_prefix if hasattr(lab, "recipient_prefix") else "X"
    named = {"recipient": [f"{prefix}_LAB"], "template_id": f"{prefix}_SAMPLE"} | changes
    bodies = [notification(f"{prefix}-{number}", **named) for number in range(count)]
    accept_many([lab.submission(body) for body in bodies], tasks.wake)


def made(database: Database, *names: str) -> list[Laboratory]:
    """Register services; each but the first has identifiers of its own initial."""
    labs = []
    for name in names:
        lab = laboratory(database, name)
        prefix = "X" if name == "Laboratory" else name[0].upper()
        lab.__dict__["recipient_prefix"] = prefix
        labs.append(lab)
    return labs


def take(database: Database, scheduler: FairScheduler, limit: int = 10) -> Counter[int]:
    token = Lease("worker").ready()
    with database.transaction() as session:
        taken = claims.claim(session, token, Channel.EMAIL, limit=limit, scheduler=scheduler)
    return Counter(claim.service_id for claim in taken)


def test_services_share_every_claim_and_none_waits_behind_a_backlog(
    any_database: Database, moving_clock: MovableClock
) -> None:
    big, small, other = made(any_database, "Laboratory", "Archive", "Biobank")
    fill(big, 200)
    moving_clock.forward(seconds=5)
    fill(small, 6)
    fill(other, 6)
    scheduler = FairScheduler()
    first, second = take(any_database, scheduler, 12), take(any_database, scheduler, 12)
    assert first == {big.service_id: 4, small.service_id: 4, other.service_id: 4}
    assert second[small.service_id] == second[other.service_id] == 2
    assert take(any_database, scheduler, 12) == {big.service_id: 12}


def test_more_services_than_share_a_claim_all_have_their_turn(
    any_database: Database, moving_clock: MovableClock
) -> None:
    labs = made(any_database, "Laboratory", *(f"{initial}-service" for initial in "ABCDEFGH"))
    for lab in labs:
        fill(lab, 10)
    scheduler = FairScheduler()
    found: Counter[int] = Counter()
    for _ in range(4):
        found += take(any_database, scheduler, 10)
    assert len(found) == len(labs), "nine services, five at a time"


def test_a_service_whose_messages_all_wait_for_later_takes_no_turn(
    any_database: Database, moving_clock: MovableClock
) -> None:
    later, now = made(any_database, "Laboratory", "Archive")
    fill(later, 30)
    with any_database.transaction() as session:
        session.execute(update(Delivery).values(due_at=moving_clock.moment.replace(year=2027)))
    fill(now, 5)
    assert take(any_database, FairScheduler()) == {now.service_id: 5}
    with any_database.read() as session:
        assert fairness.waiting(session, {Priority.NORMAL}) == []
        assert fairness.waiting(session, {Priority.HIGH}) == []


def test_high_goes_before_normal_of_every_service(any_database: Database, moving_clock: MovableClock) -> None:
    big, small = made(any_database, "Laboratory", "Archive")
    fill(big, 50)
    fill(small, 3, priority="HIGH")
    scheduler = FairScheduler()
    assert take(any_database, scheduler, 4) == {small.service_id: 3, big.service_id: 1}
    with any_database.read() as session:
        assert fairness.waiting(session, {Priority.NORMAL}) == [Channel.EMAIL]


@pytest.mark.parametrize("old", [0, 3000])
def test_a_claim_visits_as_many_rows_whatever_is_stored(
    database: Database, moving_clock: MovableClock, old: int
) -> None:
    """SQLite counts the steps of its virtual machine; PostgreSQL walks the same index."""
    (lab,) = made(database, "Laboratory")
    fill(lab, 30)
    with database.transaction() as session:
        one = session.scalars(select(Delivery)).first()
        assert one is not None
        columns = [one.name for one in Delivery.__table__.c if one.name not in {"id", "uid", "status"}]
        copied = ", ".join(columns)
        session.connection().exec_driver_sql(
            f"INSERT INTO deliveries (uid, status, {copied}) WITH RECURSIVE n(i) AS "  # noqa: S608 - our own columns
            f"(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT randomblob(16), "
            f"CASE WHEN i % 2 THEN 'SENT' ELSE 'QUEUED' END, {copied} FROM n, deliveries WHERE id = ? AND i <= ?",
            (max(old, 1), one.id, old),
        )
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    @event.listens_for(database.engine, "begin")
    def watch(connection: Any) -> None:
        connection.connection.driver_connection.set_progress_handler(count, 100)

    take(database, FairScheduler())
    assert steps < 60, steps
