"""The processes that a benchmark starts, each with a throwaway installation, all stopped at the end."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ANSWER = "answer "
CARILLON = (sys.executable, "-c", "from backend.cli import main; main()")


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """Return the environment of an installation without limits."""
    common = {"DATA_DIR": str(data_dir), "ENV": "test", "SECRET_KEY": "benchmark-secret-key-0123456789"}
    limits = {"RATE_LIMIT": "100000000/minute", "DAILY_LIMIT": "1000000000"}
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CARILLON_")}
    return plain | {f"CARILLON_{name}": value for name, value in (common | limits | settings).items()}


@contextmanager
def running(*command: str, env: dict[str, str] | None = None, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process for the length of a block."""
    with log.open("ab") as file:
        process = subprocess.Popen(command, env=env, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def talking(
    *command: str, env: dict[str, str], log: Path
) -> "Iterator[tuple[subprocess.Popen[str], Callable[[str], str]]]":
    """Run a process that answers each line with one that begins with ``ANSWER``; give it, and what asks it."""
    with (
        log.open("ab") as file,
        subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        lines, answers = process.stdin, process.stdout

        def ask(line: str) -> str:
            lines.write(f"{line}\n")
            lines.flush()
            while answer := answers.readline():
                if answer.startswith(ANSWER):
                    return answer.removeprefix(ANSWER)
            raise RuntimeError(f"A process of the benchmark has ended:\n{log.read_text()[-2000:]}")

        try:
            yield process, ask
        finally:
            process.terminate()
            process.wait(15)


@contextmanager
def folder() -> Iterator[str]:
    """Make a folder for the length of a block."""
    with tempfile.TemporaryDirectory(prefix="carillon-bench-") as made:
        yield made


class Sink:
    """The SMTP sink's process, and what it tells."""

    def __init__(self, process: "subprocess.Popen[str]", count: int) -> None:
        assert process.stdout is not None
        self._lines = process.stdout
        self._count = count
        self.port = int(json.loads(self._lines.readline())["port"])
        self.address = f"smtp://127.0.0.1:{self.port}"

    def wait(self) -> dict[str, Any]:
        """Wait for the next group of messages; return when its ``first`` and its ``last`` came."""
        told: dict[str, Any] = json.loads(self._lines.readline())
        return told

    def rate(self) -> float:
        """Wait for the next group of messages; return how many came a second."""
        told = self.wait()
        return (self._count - 1) / float(told["last"] - told["first"])

    def arrivals(self, names: set[str]) -> dict[str, float]:
        """Wait for the messages that carry ``@@NAME@@``; return when each was answered."""
        found: dict[str, float] = {}
        while names - found.keys():
            told = json.loads(self._lines.readline())
            if told.get("name") in names:
                found[told["name"]] = float(told["at"])
        return found


@contextmanager
def sink(count: int) -> Iterator[Sink]:
    """Run the SMTP sink, which tells of each ``count`` messages."""
    command = (sys.executable, "-m", "tests.benchmarks.smtp_sink", str(count))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Sink(process, count)
        finally:
            process.terminate()


def wait_for_port(port: int, process: "subprocess.Popen[Any]", log: Path) -> None:
    """Wait until somebody listens.

    Raises:
        RuntimeError: with the process's own lines when it ends or takes more than two minutes.
    """
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"A process of the benchmark did not start:\n{log.read_text()}")


def load(url: str, **plan: Any) -> dict[str, Any]:
    """Run the load generator in a process of its own and return its figures."""
    done = subprocess.run(
        (sys.executable, "-m", "tests.benchmarks.load", url),
        input=json.dumps(plan) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures
