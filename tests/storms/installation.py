"""An installation of real processes that a test kills and starts again, with a mailbox to send to."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from email import message_from_bytes, policy
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import Self

from tests.patience import patient
from tests.processes import Process

APART = 4  # messages under way at once by each channel of a worker that was started apart
_SHORT_LEASES = "from tests.storms import short_leases; short_leases.apply(); from backend.cli import main; main()"
CARILLON = (sys.executable, "-c", "from backend.cli import main; main()")


class Mailbox:
    """An SMTP server as a process of its own, which stores each message as a file; stopped at the end of the block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        command = (sys.executable, "-m", "tests.smtp_server", "--maildir", str(folder))
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.address = str(json.loads(self._process.stdout.readline())["address"])

    def count(self) -> int:
        """Count the messages so far."""
        return sum(name.endswith(".eml") for name in os.listdir(self.folder))  # noqa: PTH208 - thousands, again and again

    def copies(self) -> Counter[str]:
        """Count how often each message came, by the name before the ``@`` of its Message-ID."""
        texts = (path.read_bytes() for path in self.folder.glob("*.eml"))
        names = (str(message_from_bytes(text, policy=policy.default)["Message-ID"]) for text in texts)
        return Counter(name.strip("<>").partition("@")[0] for name in names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_fault: object) -> None:
        self._process.kill()
        self._process.communicate()


class Installation:
    """The processes of one installation, with this process's settings; whatever still runs at the end is killed."""

    def __init__(self, folder: Path, provider: str) -> None:
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        fixed = {"PORT": str(self.port), "EMAIL_PROVIDERS": provider, "RETRY_BASE_SECONDS": "0.2"}
        self._environment = os.environ | {f"CARILLON_{name}": value for name, value in fixed.items()}
        self._log = folder / "processes.log"
        self._running: list[Process] = []
        self._apart: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str) -> Process:
        """Start ``serve`` or ``worker``."""
        process = Process(command, self._environment, out=self._log)
        self._running.append(process)
        return process

    def start_apart(self, *before: str, more: Mapping[str, str] = MappingProxyType({})) -> subprocess.Popen[bytes]:
        """Start a worker of short leases by way of another program, such as ``unshare``, with ``more`` environment."""
        command = [*before, sys.executable, "-c", _SHORT_LEASES, "worker", "--workers", str(APART)]
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, env=self._environment | dict(more), stdout=log, stderr=log)
        self._apart.append(process)
        return process

    def listen(self, *command: str) -> tuple[Process, list[str]]:
        """Start a process as ``start`` does; what it says comes over a pipe into a list, and into no file."""
        pipe, lines = self._log.with_name(f"heard-{len(self._running)}"), list[str]()
        os.mkfifo(pipe)

        def hear() -> None:
            with pipe.open() as heard:
                for line in heard:
                    lines.append(line)

        Thread(target=hear, daemon=True).start()
        process = Process(command, self._environment, out=pipe)
        self._running.append(process)
        return process, lines

    def kill(self, process: Process) -> None:
        """Kill a process without a warning.

        Raises:
            AssertionError: with the processes' lines, when it had stopped of its own accord.
        """
        assert process.poll() is None, self.lines()
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self, process: Process, seconds: float) -> int:
        """Ask a process to stop and return its exit status, which must come within ``seconds``."""
        process.send_signal(signal.SIGTERM)
        return process.wait(seconds)

    def lines(self) -> str:
        """Return what the processes said."""
        return self._log.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_fault: object) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.wait()
        for other in self._apart:
            other.send_signal(signal.SIGCONT)
            other.kill()
            other.wait()


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(true: Callable[[], bool], seconds: float, what: Callable[[], str]) -> float:
    """Look every few milliseconds, where other processes can only be looked at; return how long it took.

    What looking takes is waited twice, so that those who are waited for have the machine. ``seconds`` are those of an
    idle machine.

    Raises:
        AssertionError: saying ``what`` has not come about within ``seconds``.
    """
    began = looked = time.monotonic()
    while not true():
        now = time.monotonic()
        if now - began > patient(seconds):
            raise AssertionError(f"not within {seconds} s: {what()}")
        time.sleep(max(0.005, 2 * (now - looked)))
        looked = time.monotonic()
    return time.monotonic() - began
