"""A mail server as processes of their own, in a root of their own: a copy by links of what ``packages`` unpacked."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme

from tests.mail_servers import packages

HOST = "127.0.0.1"
NAME = "mx.mail.example"
# Who may send by a server that asks, with which password, and as whom.
USER, PASSWORD = "mary", "s3cret pass@word"
OWN_SENDER = "lab@us.example"
_START_SECONDS = 20
_KEY, _CHAIN = "etc/server.key", "etc/server.pem"


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
        return port


class Jail:
    """A server's root folder and its processes; a context manager.

    A kind of server writes its files in ``prepare`` and names its command line. ``next_port`` is where mail to
    lab.example and away.example goes on to, and ``pipe`` the command that takes mail to bounces@mail.example.
    """

    server: str
    command: tuple[str, ...]
    log: str

    def __init__(self, next_port: int, pipe: str = "cat >/dev/null", **options: str) -> None:
        self.next_port, self.pipe, self.options = next_port, pipe, options
        self.port = free_port()
        files = packages.root(self.server)
        # In the cache, for links do not lead to other file systems.
        self._temporary = tempfile.TemporaryDirectory(prefix="running-", dir=packages.cache())
        self.root = Path(self._temporary.name) / "root"
        subprocess.run(["cp", "-al", str(files), str(self.root)], check=True)
        self.authority = Path(self._temporary.name) / "ca.pem"
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Write the configuration."""
        raise NotImplementedError

    def address(self, **options: str) -> str:
        """Return the server as the setting of providers names it."""
        query = "&".join(f"{name}={value}" for name, value in {"tls": "none", **options}.items())
        return f"smtp://{HOST}:{self.port}?{query}"

    def signed_in(self, **options: str) -> str:
        """Return it with a user, STARTTLS and our authority."""
        given = {"tls": "starttls", "ca": str(self.authority), **options}
        return self.address(**given).replace("://", f"://{USER}:{PASSWORD.replace('@', '%40').replace(' ', '%20')}@")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the root."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def folder(self, path: str, owner: str = "root", mode: int = 0o755, group: str | None = None) -> None:
        """Make a folder of the root."""
        target = self.root / path
        target.mkdir(parents=True, exist_ok=True)
        os.chown(target, packages.USERS[owner], packages.USERS[group or owner])
        target.chmod(mode)

    def logged(self) -> str:
        """Return what the server has logged."""
        target = self.root / self.log
        return target.read_text(errors="replace") if target.exists() else ""

    def run(self, *words: str) -> str:
        """Run one of its programs."""
        done = subprocess.run(
            ["chroot", str(self.root), *words], capture_output=True, text=True, timeout=30, check=False
        )
        return done.stdout + done.stderr

    def __enter__(self) -> Self:
        try:
            self._certificate()
            self.prepare()
            output = (self.root / "var/log/output").open("wb")
            self._process = subprocess.Popen(
                ["chroot", str(self.root), *self.command],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={"PATH": "/usr/sbin:/usr/bin:/bin", "HOME": "/", **self.environment()},
            )
            output.close()
            self._await()
        except BaseException:
            self.stop()
            raise
        return self

    def environment(self) -> dict[str, str]:
        """Return what stands in its environment."""
        return {}

    def stop(self) -> None:
        """End all its processes, and take the root away."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            for process in _of_root(self.root):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            self._process.wait(5)
        shutil.rmtree(self._temporary.name, ignore_errors=True)
        self._temporary.cleanup()

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            print(self.logged()[-6000:])
        self.stop()

    def _certificate(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.authority))
        issued = authority.issue_cert(HOST, NAME)
        self.write(_KEY, issued.private_key_pem.bytes().decode(), 0o600)
        self.write(_CHAIN, "".join(pem.bytes().decode() for pem in issued.cert_chain_pems))

    def _await(self) -> None:
        def answers() -> bool:
            assert self._process is not None
            if self._process.poll() is not None:
                return True
            with suppress(OSError), socket.create_connection((HOST, self.port), 1) as opened:
                return opened.recv(100).startswith(b"220")
            return False

        wait_until(answers, _START_SECONDS)
        if self._process is None or self._process.poll() is not None:
            said = (self.root / "var/log/output").read_text(errors="replace")
            raise RuntimeError(f"{self.server} did not start: {said}{self.logged()}")


def wait_until(come: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something has come.

    Raises:
        AssertionError: after so many seconds.
    """
    end = time.monotonic() + seconds
    while not come():
        assert time.monotonic() < end, f"it has not come within {seconds} s"
        time.sleep(0.02)


def _of_root(root: Path) -> list[int]:
    """Return the processes whose root is this folder, or one in it."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with suppress(OSError):
                if (process / "root").readlink().is_relative_to(root):
                    found.append(int(process.name))
    return found
