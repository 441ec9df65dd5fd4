"""Both processes in one terminal: the first start, and being stopped, which ends ``make`` with 0."""

import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from tests.commands.conftest import Command
from tests.storms.installation import wait_until

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
_STARTING_SECONDS = 120


class Terminal:
    """A terminal in which a command runs, as the only one of its session; what it shows is added to ``shown``."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        pid, self._keyboard = pty.fork()
        if pid == 0:
            os.chdir(ROOT)
            os.execvpe(command[0], command, environment)  # noqa: S606 - make, or a shell
        self._pid = pid
        self.shown = ""
        self._status: int | None = None
        Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            try:
                piece = os.read(self._keyboard, 4096)
            except OSError:  # the terminal's other end is closed
                return
            self.shown += piece.decode(errors="replace")

    def press(self, key: bytes) -> None:
        os.write(self._keyboard, key)

    def terminate(self) -> None:
        os.kill(self._pid, signal.SIGTERM)

    def ended(self) -> bool:
        if self._status is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status is not None

    def status(self) -> int | None:
        wait_until(self.ended, 60, lambda: self.shown)
        return self._status

    def kill(self) -> None:
        if not self.ended():
            os.kill(self._pid, signal.SIGHUP)


@pytest.mark.parametrize("how", ["make", "alone", "terminated"])
def test_to_be_stopped_is_no_failure(tmp_path: Path, how: str) -> None:
    command = Command(tmp_path)
    carillon = f'{sys.executable} -c "from backend.cli import main; main()" run'
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"run:\n\t@exec {carillon}\n")
    started = ["make", "-f", str(makefile), "run"] if how == "make" else ["sh", "-c", f"exec {carillon}"]
    folder = str(Path(sys.executable).parent)
    terminal = Terminal(started, command.environment | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"})
    try:
        wait_until(lambda: "curl -sS -X POST" in terminal.shown, _STARTING_SECONDS, lambda: terminal.shown)
        terminal.press(b"\x03") if how != "terminated" else terminal.terminate()
        assert terminal.status() == 0, terminal.shown
    finally:
        terminal.kill()
    socket.create_server(("127.0.0.1", command.port)).close()  # nobody is left who listens there
    assert "Registering the demo service" in terminal.shown
    assert "Error" not in terminal.shown
    assert "rc=-" not in terminal.shown


def test_what_cannot_start_is_said_and_ends(tmp_path: Path) -> None:
    command = Command(tmp_path, EMAIL_PROVIDERS="pigeon://roof")
    folder = str(Path(sys.executable).parent)
    done = subprocess.run(
        [sys.executable, "-c", "from backend.cli import main; main()", "run"],
        cwd=ROOT,
        env=command.environment | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_STARTING_SECONDS,
        start_new_session=True,
    )
    assert done.returncode == 1
    assert "CARILLON_EMAIL_PROVIDERS cannot be used" in done.stdout
    assert done.stderr == "Error: It could not be started; the lines above say why.\n"


def test_a_port_that_another_has_is_said_before_anything_starts(tmp_path: Path) -> None:
    command = Command(tmp_path)
    with socket.create_server(("127.0.0.1", command.port)):
        done = command.run("run")
    assert (done.returncode, done.stdout) == (69, ""), "EX_UNAVAILABLE, and no greeting of whoever has it"
    assert f"CARILLON_PORT {command.port} on 127.0.0.1 cannot be listened on" in done.stderr
