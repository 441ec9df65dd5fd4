"""Whatever lost its worker or was lost on its way is found by the ticks within a minute, on every engine."""

import io
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from huey import Huey
from sqlalchemy import delete, select, update

from backend import worker
from backend.accounts.audit import Actor
from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.notifications import Delivery, Notification
from backend.db.models.operations import Worker
from backend.db.models.spreadsheets import Spreadsheet
from backend.delivery import tasks
from backend.intake.accept import Accepted, accept_many
from backend.jobs import control
from backend.lib import clock, queue, settings
from backend.monitoring import alarm, gauges
from tests.conftest import MovableClock
from tests.factories import BATCH_HTML, Laboratory, laboratory, notification

DEAD = "elsewhere/0123456789ab/12.3456/dead"
_STEP_SECONDS = 5


def tick(engine: Huey) -> None:
    """Do what the timer of a worker and its threads for wake-ups do in a second."""
    for found in queue.periodic_tasks():
        found.run()
    while engine.pending_count():
        task = engine.dequeue()
        if task is not None:
            engine.execute(task)


def accept(lab: Laboratory, name: str, **changes: Any) -> UUID:
    (outcome,) = accept_many([lab.submission(notification(name, **changes))], lambda _priorities: None)
    assert isinstance(outcome, Accepted), outcome
    return UUID(outcome.notification_id)


def change(database: Database, uid: UUID, **values: Any) -> None:
    """Change the delivery of a notification as a worker would have left it."""
    owner = select(Notification.id).where(Notification.uid == uid).scalar_subquery()
    with database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.notification_id == owner).values(**values))


def upload(lab: Laboratory) -> None:
    """Upload a spreadsheet, which a worker that is dead now has begun to check."""
    template = control.template_of(lab.service_id, "X_SAMPLE")
    chosen = control.Upload(
        name="", file_name="people.csv", template=template, channel=Channel.EMAIL, subject="A sample"
    )
    text = b"email address,sample_id\nada@lab.example,S-1\n"
    control.upload(lab.service_id, chosen, io.BytesIO(text), Actor("person", "ada@lab.example"))
    with lab.database.transaction() as session:
        session.execute(update(Spreadsheet).values(claimed_by=DEAD))


def prepared(lab: Laboratory) -> dict[str, UUID]:
    """Accept a notification for each misfortune, and let it happen."""
    lab.template("X_LIST", BATCH_HTML)
    batch = {"priority": "BATCH", "aggregator_id": "run-1", "template_id": "X_LIST", "fields": {"sample-id": "S-9"}}
    found = {name: accept(lab, name) for name in ("lost wake-up", "dead", "dropped", "marked", "due later", "deleted")}
    found["buffered"] = accept(lab, "buffered", **batch)
    with lab.database.transaction() as session:
        session.add(Worker(name=DEAD, started_at=clock.now(), seen_at=clock.now()))
    change(lab.database, found["dead"], status="SENDING", claimed_by=DEAD)
    change(lab.database, found["dropped"], status="SENDING", claimed_by=tasks._Present.sender.lease.ready())
    change(lab.database, found["marked"], status="SENT", claimed_by=DEAD, attempts=1, provider="smtp")
    change(lab.database, found["due later"], status="RETRYING", due_at=clock.now() + timedelta(seconds=30))
    with lab.database.transaction() as session:
        gone = select(Notification.id).where(Notification.uid == found.pop("deleted")).scalar_subquery()
        session.execute(delete(Delivery).where(Delivery.notification_id == gone))
    upload(lab)
    return found


def test_everything_that_was_lost_is_found_within_a_minute(
    any_engine: Database,
    moving_clock: MovableClock,
    configure: Callable[..., settings.Settings],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("CARILLON_BATCH_QUIET_SECONDS", "10")
    settings.current.cache_clear()
    gauges.clear()
    alarm.check.clear()
    lab = laboratory(any_engine)
    found = prepared(lab)
    engine = queue.bind()
    assert len(queue.periodic_tasks()) >= len(worker.TASKS) - 1, "every room has its part in it"
    engine.storage.flush_all()  # with every wake-up and timer in it
    for _ in range(0, 60, _STEP_SECONDS):
        tick(engine)
        moving_clock.forward(seconds=_STEP_SECONDS)
    with any_engine.read() as session:
        statuses = dict(session.execute(select(Notification.uid, Notification.status)).all())
        sheet = session.scalars(select(Spreadsheet)).one()
        assert session.scalars(select(Delivery.id).where(Delivery.claimed_by.is_not(None))).all() == []
        assert DEAD not in session.scalars(select(Worker.name)).all()
    assert {name: statuses[uid] for name, uid in found.items()} == dict.fromkeys(found, "SENT")
    assert (sheet.stage, sheet.claimed_by) == ("CHECKED", None)
    faults = [entry for entry in caplog.records if entry.levelno >= logging.ERROR]
    assert {entry.name for entry in faults} == {"backend.monitoring.alarm"}, [entry.getMessage() for entry in faults]
    assert faults[0].__dict__["fields"]["imbalance"] == 1
    gauges.clear()
    alarm.check.clear()
