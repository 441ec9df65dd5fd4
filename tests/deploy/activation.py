"""Web processes that get their socket as systemd hands it over, and senders that never try a request twice."""

import http.client
import json
import signal
import socket
import subprocess
from collections.abc import Callable
from itertools import count
from threading import Event, Thread
from typing import Self

from tests.commands.conftest import Command
from tests.interop.site import SENDING, Site
from tests.storms.installation import CARILLON, wait_until


def activated(listening: socket.socket, command: Command, *options: str) -> "subprocess.Popen[bytes]":
    """Start a web process as systemd does: the socket is its file 3, and it is told that it is meant."""
    script = f'exec 3<&{listening.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
    with (command.data / "processes.log").open("ab") as log:
        return subprocess.Popen(
            ["bash", "-c", script, "bash", *CARILLON, "serve", *options],
            env=command.environment,
            pass_fds=(listening.fileno(),),
            stdout=log,
            stderr=log,
        )


def stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


class Senders:
    """Threads that send one notification after the other, on kept connections and on new ones, and never try twice."""

    def __init__(
        self,
        site: Site,
        size: int,
        connect: Callable[[], http.client.HTTPConnection] | None = None,
        samples: str = "S",
    ) -> None:
        self._connect = connect or (lambda: http.client.HTTPConnection("127.0.0.1", site.port, timeout=60))
        self._site = site
        self._body = site.notification("restart").read_text()
        self._numbers, self._samples = count(), samples
        self._stop = Event()
        self.statuses: list[int] = []
        self.faults: list[str] = []
        ways: tuple[Callable[[], None], ...] = (self._keeping, self._anew)
        self._threads = [Thread(target=ways[number % 2]) for number in range(size)]

    def _send(self, connection: http.client.HTTPConnection) -> None:
        body = json.loads(self._body)
        body["channels"][0]["fields"]["sample_id"] = f"{self._samples}-{next(self._numbers)}"
        headers = {"Authorization": f"Bearer {self._site.token}", "Content-Type": "application/json"}
        connection.request("POST", SENDING, json.dumps(body), headers)
        answer = connection.getresponse()
        answer.read()
        self.statuses.append(answer.status)

    def _keeping(self) -> None:
        connection = self._connect()
        while not self._stop.is_set():
            self._tried(connection)

    def _anew(self) -> None:
        while not self._stop.is_set():
            connection = self._connect()
            self._tried(connection)
            connection.close()

    def _tried(self, connection: http.client.HTTPConnection) -> None:
        try:
            self._send(connection)
        except (OSError, http.client.HTTPException) as fault:
            self.faults.append(repr(fault))
            connection.close()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_fault: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def send(self, number: int) -> None:
        """Wait until so many more have been answered."""
        wanted = len(self.statuses) + number
        wait_until(lambda: len(self.statuses) > wanted, 60, lambda: f"{len(self.statuses)} answers, {self.faults}")
