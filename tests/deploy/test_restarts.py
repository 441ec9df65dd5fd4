"""A web process whose socket is systemd's is replaced under load, and nobody is refused or cut off."""

import socket
import sqlite3
from pathlib import Path

import pytest

from tests.commands.conftest import Command
from tests.deploy.activation import Senders, activated, stop
from tests.interop.site import Site

pytestmark = pytest.mark.timeout(300)

_RESTARTS = 3


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_restart_under_load_loses_no_request(tmp_path: Path, processes: str) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        command = Command(tmp_path, RATE_LIMIT="1000000/minute", PORT=str(listening.getsockname()[1]))
        command.port = listening.getsockname()[1]
        seeded = command.run("seed")
        assert seeded.returncode == 0, seeded.stderr
        running = [activated(listening, command, "--workers", processes)]
        try:
            with Senders(Site(command), 6) as senders:
                for _restart in range(_RESTARTS):
                    senders.send(100)
                    stop(running[-1])
                    running.append(activated(listening, command, "--workers", processes))
                senders.send(100)
            stop(running[-1])
        finally:
            for process in running:
                process.kill()
                process.wait()
    assert senders.faults == []
    assert set(senders.statuses) == {202}
    with sqlite3.connect(command.data / "carillon.db") as connection:
        stored = connection.execute("SELECT count(*) FROM notifications").fetchone()[0]
    assert stored == len(senders.statuses)
