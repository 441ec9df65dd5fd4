"""Ten and a hundred times as many batches cost an answer no more, and all of them are handled."""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, text

from backend.batching import tasks
from backend.db.models.audit import AuditEntry
from backend.db.models.batches import Batch
from backend.lib import clock
from tests import growth
from tests.api.conftest import NOTIFICATIONS, Site
from tests.api.test_growth import cost
from tests.factories import notification

COUNTS = (12, 120, 1_200)
AT_ONCE = 100
# What one answer takes at most: a hundred batches are dispatched while its caller waits, with 13 statements each.
SECONDS, BYTES, STATEMENTS = 3.0, 100_000, 1_450
# For the largest that a notification may be.
LARGEST_SECONDS = 8.0


def waiting(site: Site, many: int) -> str:
    """Store so many open batches of an aggregator, and return its id."""
    name = f"run-{many}"
    site.laboratory.template("X_LIST", "{% for one in fields %}<p>{{ one.sample_id }}</p>{% endfor %}")
    body = notification(priority="BATCH", aggregator_id=name, template_id="X_LIST")
    assert site.send(body).status_code == 202
    with site.laboratory.database.transaction() as session:
        session.execute(text(growth.MORE_BATCHES), {"more": many - 1, "name": name})
        session.execute(text(growth.MEMBERS_OF_MORE))
    return f"{NOTIFICATIONS}/aggregators/{name}"


def count(site: Site, many: int, **values: Any) -> int:
    with site.laboratory.database.read() as session:
        own = select(func.count(Batch.id)).where(Batch.aggregator_id == f"run-{many}")
        return session.scalar(own.filter_by(**values)) or 0


def noted(site: Site, action: str) -> int:
    with site.laboratory.database.read() as session:
        return session.scalar(select(func.count(AuditEntry.id)).where(AuditEntry.action == action)) or 0


def check(site: Site, address: str, many: int) -> list[dict[str, Any]]:
    """Do something to all batches, measure it, and return what the answer tells of them."""
    told: list[dict[str, Any]] = []

    def ask() -> Any:
        answer = site.post(address, {})
        told.append(answer.json())
        return answer

    taken = cost(site, ask)
    assert taken.statements <= STATEMENTS
    assert taken.size < BYTES
    assert taken.seconds < SECONDS
    (answer,) = told
    assert (answer["batches_total"], len(answer["batches"])) == (many, min(many, AT_ONCE))
    return list(answer["batches"])


def test_holding_and_releasing_thousands_of_batches(site: Site) -> None:
    for many in COUNTS:
        address, before = waiting(site, many), (noted(site, "batch.held"), noted(site, "batch.released"))
        assert all(one["held"] for one in check(site, f"{address}/hold", many))
        assert count(site, many, held=True) == many
        assert not any(one["held"] for one in check(site, f"{address}/release", many))
        assert count(site, many, held=False, status="OPEN") == many
        assert (noted(site, "batch.held") - before[0], noted(site, "batch.released") - before[1]) == (many, many)


def test_flushing_thousands_of_batches(site: Site) -> None:
    for many in COUNTS:
        address, before = waiting(site, many), noted(site, "batch.flushed")
        site.post(f"{address}/hold", {})
        assert {one["status"] for one in check(site, f"{address}/flush", many)} == {"DISPATCHED"}
        rest = max(0, many - AT_ONCE)
        # What is behind the first hundred is closed and due, for workers to dispatch.
        assert count(site, many, status="CLOSED", why="demand", held=False) == rest
        assert count(site, many, status="DISPATCHED", why="demand") == many - rest
        assert noted(site, "batch.flushed") - before == many


def test_workers_dispatch_what_a_flush_has_left_to_them(site: Site) -> None:
    address = waiting(site, 120)
    site.post(f"{address}/flush", {})
    assert count(site, 120, status="CLOSED") == 20
    tasks.sweep.run()
    assert count(site, 120, status="DISPATCHED", why="demand") == 120


def test_batches_that_failed_are_flushed_once_more_however_many(site: Site) -> None:
    address = waiting(site, 120)
    with site.laboratory.database.transaction() as session:
        values = {"at": (clock.now() - timedelta(minutes=1)).replace(tzinfo=None).isoformat(" ")}
        session.execute(
            text("UPDATE batches SET status = 'FAILED', error = 'It could not be made.', dispatched_at = :at"), values
        )
    assert site.post(f"{address}/flush", {}).json()["batches_total"] == 120
    assert count(site, 120, status="FAILED") == 0
    tasks.sweep.run()
    assert count(site, 120, status="DISPATCHED", error=None) == 120


def test_a_notification_becomes_two_thousand_batches_at_most(site: Site) -> None:
    site.laboratory.template("X_LIST", "{% for one in fields %}<p>{{ one.sample_id }}</p>{% endfor %}")
    names = [f"X_R{number}" for number in range(101)]
    for name in names:
        site.laboratory.recipient(name, ("EMAIL", f"{name}@lab.example"))

    def body(channels: int, recipients: int) -> dict[str, Any]:
        one = {"recipient": names[:recipients], "template_id": "X_LIST"}
        parts = [notification(subject=f"{channels} {number}", **one)["channels"][0] for number in range(channels)]
        return {"channels": parts, "priority": "BATCH", "aggregator_id": f"run-{channels * recipients}"}

    for channels, recipients in ((1, 20), (2, 100), (20, 100)):
        many = channels * recipients
        whole = body(channels, recipients)
        taken = cost(site, lambda whole=whole: site.send(whole), 202)
        assert count(site, many, members=1) == many
        assert taken.statements <= 30  # all are opened together, and counted together
        assert taken.seconds < LARGEST_SECONDS
    for channels, recipients in ((21, 1), (1, 101)):
        refused = site.send(body(channels, recipients))
        assert 400 <= refused.status_code < 500
        assert refused.json()["errors"]
