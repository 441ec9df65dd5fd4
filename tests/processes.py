"""The ``carillon`` command in processes that start at once: forked from one that has loaded the program already.

They are processes like any other, to be asked to stop or killed; only the seconds of loading are spared.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from multiprocessing.context import ForkServerContext
from pathlib import Path

from backend.cli import main

_LOADED = ["backend.app", "backend.worker", "backend.cli", *(f"backend.commands.{name}" for name in (
    "accounts", "as_code", "database", "demo", "inspect", "receipts", "secrets", "seed", "serve", "worker"
))]  # fmt: skip


@lru_cache(maxsize=1)
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LOADED)
    return context


def _run(arguments: Sequence[str], environment: Mapping[str, str], given: str, out: str, err: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, path, flags in (
        (0, given, os.O_RDONLY),
        (1, out, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, err, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - stays open to the process's end
    sys.argv = ["carillon", *arguments]
    main()


class Process:
    """One ``carillon`` process; what it says is added to the files ``out`` and ``err``."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        out: Path,
        err: Path | None = None,
        given: Path = Path(os.devnull),
    ) -> None:
        wanted = (list(arguments), dict(environment), str(given), str(out), str(err or out))
        self._process = _context().Process(target=_run, args=wanted, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """Return the process's number."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit status, below nought for a signal; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it without a warning."""
        self.send_signal(signal.SIGKILL)

    def wait(self, seconds: float | None = None) -> int:
        """Wait for its end and return the exit status.

        Raises:
            TimeoutExpired: when it still runs after so many seconds.
        """
        self._process.join(seconds)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired("carillon", seconds or 0)
        return status


def run(
    *arguments: str, environment: Mapping[str, str], given: str = "", seconds: float
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, with ``given`` on its standard input.

    Raises:
        TimeoutExpired: when it still runs after so many seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked, out, err = (Path(folder) / name for name in ("in", "out", "err"))
        asked.write_text(given, encoding="utf-8")
        process = Process(arguments, environment, out=out, err=err, given=asked)
        try:
            status = process.wait(seconds)
        finally:
            process.kill()
        return subprocess.CompletedProcess(
            ("carillon", *arguments), status, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")
        )
