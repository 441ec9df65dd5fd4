"""The code of the release before runs against the present database: it starts, is ready, accepts and sends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from backend.db import migrate
from backend.db.database import Database
from tests.db import releases
from tests.factories import Laboratory, laboratory, notification
from tests.smtp_server import SmtpServer
from tests.storms.installation import free_port, wait_until

pytestmark = pytest.mark.timeout(240)  # processes start slowly on a busy machine

RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from backend.cli import main; main()"


@contextmanager
def running(folder: Path, environment: dict[str, str], log: Path, *commands: str) -> Iterator[None]:
    """Run commands of a release, each as a process, until the end of the block."""
    started = []
    with log.open("ab") as out:
        for command in commands:
            line = [sys.executable, "-c", RUN, str(folder), command]
            started.append(subprocess.Popen(line, cwd=folder, env=environment, stdout=out, stderr=out))
        try:
            yield
        finally:
            for process in started:
                process.send_signal(signal.SIGTERM)
            for process in started:
                try:
                    process.wait(20)
                finally:
                    process.kill()


def send(lab: Laboratory, base: str, count: int) -> list[int]:
    """Send notifications over HTTP; return the statuses of the answers."""
    with httpx2.Client(base_url=base, timeout=20, trust_env=False) as http:
        credentials = (lab.client.client_id, lab.client.client_secret)
        asked = http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=credentials)
        bearer = {"Authorization": f"Bearer {asked.json()['access_token']}"}
        bodies = (notification(f"S-{number}") for number in range(count))
        return [http.post("/notifications/v1", json=body, headers=bearer).status_code for body in bodies]


def newest_of(folder: Path) -> str:
    """Return the number of the newest migration of a release."""
    return max(path.name.partition("_")[0] for path in (folder / releases.VERSIONS).glob("0*.py"))


def is_ready(base: str) -> bool:
    try:
        return httpx2.get(f"{base}/readyz", timeout=5, trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False


def test_the_release_before_works_on_the_present_database(any_database: Database, tmp_path: Path) -> None:
    folder = releases.unpacked()
    lab, log = laboratory(any_database), tmp_path / "processes.log"
    with SmtpServer() as server:
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        own = {"ENV": "production", "PORT": str(port), "EMAIL_PROVIDERS": server.address}
        environment = os.environ | {f"CARILLON_{name}": value for name, value in own.items()}
        environment["PYTHONPATH"] = str(folder)
        with running(folder, environment, log, "serve", "worker"):
            wait_until(lambda: is_ready(base), 90, log.read_text)
            assert send(lab, base, 5) == [202] * 5
            wait_until(lambda: len(server.messages) == 5, 60, log.read_text)
            assert is_ready(base)
    assert migrate.present(any_database) == migrate.head()
    is_older = newest_of(folder) != migrate.head()
    assert ("it goes on working" in log.read_text()) == is_older


def test_the_code_is_of_an_earlier_commit_that_promises_it() -> None:
    commit = releases.before_the_newest_migration()
    assert commit in releases.git("rev-list", "HEAD").decode().split()
    assert releases.promises(commit)
