"""The worker as a process that is killed while it releases what has become due: each message goes out, once."""

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from backend.db.database import Database
from backend.intake.accept import accept_many
from backend.intake.entries import Accepted
from backend.lib import clock
from backend.monitoring import ledger
from tests.batching.conftest import LIST
from tests.batching.test_kill import has, messages, process, samples, statuses, wait
from tests.factories import laboratory, notification
from tests.storms.installation import Mailbox

SINGLE, GATHERED = 150, 60


@pytest.mark.timeout(240)
def test_killed_workers_release_everything_once(
    any_database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lab = laboratory(any_database)
    lab.template("X_SINGLE", "[{{ sample_id }}]", format="text")
    lab.template("X_LIST", LIST, format="text", batch={"quiet_seconds": 0.5, "max_wait_seconds": 2, "max_items": 7})
    due = clock.iso(clock.now() + timedelta(seconds=10))
    bodies = [notification(f"S-{one}", template_id="X_SINGLE", send_at=due) for one in range(SINGLE)]
    gathered = {"template_id": "X_LIST", "priority": "BATCH", "aggregator_id": "run-1"}
    bodies += [notification(f"B-{one}", send_at=due, **gathered) for one in range(GATHERED)]
    outcomes = accept_many([lab.submission(body) for body in bodies], lambda _new: None)
    assert {one.status for one in outcomes if isinstance(one, Accepted)} == {"SCHEDULED"}
    maildir, log = tmp_path / "mail", tmp_path / "processes.log"
    with Mailbox(maildir) as mailbox:
        monkeypatch.setenv("CARILLON_EMAIL_PROVIDERS", mailbox.address)
        for kill_after in (1, 60):
            with process(log, "worker"):  # killed with SIGKILL where this ends
                wait(partial(has, mailbox, kill_after), "Mail before the kill")
        with process(log, "worker"), process(log, "worker"):
            wait(lambda: statuses(any_database) == {"SENT": SINGLE + GATHERED}, "Sending everything")
    # What was under way at the kill may arrive twice, as one message with one identity.
    contents = {one["Message-ID"]: samples(one) for one in messages(maildir)}
    told = sorted(name for names in contents.values() for name in names)
    assert told == sorted([*(f"S-{one}" for one in range(SINGLE)), *(f"B-{one}" for one in range(GATHERED))])
    with any_database.read() as session:
        assert [entry.describe() for entry in ledger.balance(session) if entry.imbalance] == []
