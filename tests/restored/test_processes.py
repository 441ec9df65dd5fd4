"""Real worker and web processes on a backup that was put back: they send nothing of it until somebody has decided."""

import json
import os
from pathlib import Path

import httpx2
import pytest

from backend.db.database import Database
from backend.restored import recognition
from tests import processes
from tests.factories import laboratory
from tests.restored import backup
from tests.smtp_server import SmtpServer
from tests.storms.conftest import Works
from tests.storms.installation import Installation, wait_until

pytestmark = pytest.mark.timeout(240)  # processes start slowly on a busy machine


def test_worker_processes_send_nothing_of_a_restored_database(any_database: Database, tmp_path: Path) -> None:
    with SmtpServer() as server, Installation(tmp_path, server.address) as home:
        works = Works(laboratory(any_database), server, home)
        works.accept("first", 20)
        recognition.look_once()
        backup.take(any_database, tmp_path / "backup")
        worker = home.start("worker")
        works.wait_for("SENT", 20)
        assert home.stop(worker, 20) == 0, home.lines()

        backup.put_back(any_database, tmp_path / "backup")
        home.start("serve")
        wait_until(lambda: "restored" in ready(home), 60, home.lines)
        home.start("worker")
        works.accept("second", 3)
        works.wait_for("SENT", 3)
        assert "The database is held." in home.lines()
        assert works.statuses() == {"SENT": 3, "QUEUED": 20}
        assert works.copies().total() == 23

        environment = os.environ | {"CARILLON_EMAIL_PROVIDERS": server.address}
        done = processes.run("held", "release", environment=environment, seconds=60)
        assert json.loads(done.stdout) == {
            "decision": "release",
            "done": {"delivery": 20, "batch": 0, "callback": 0, "spreadsheet": 0},
            "left": 0,
        }
        works.wait_for("SENT", 23)
        assert works.copies().total() == 43
        assert "restored" not in ready(home)


def ready(home: Installation) -> dict[str, str]:
    """Ask the web process whether it is ready; nothing while it does not answer."""
    try:
        found: dict[str, str] = httpx2.get(f"{home.base}/readyz", timeout=5, trust_env=False).json()
    except httpx2.TransportError:
        return {}
    return found
