"""A real PgBouncer in transaction mode, which gives a server's connection to another client after each transaction."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

import psycopg

from tests.debian import program
from tests.storms.installation import free_port, wait_until

_CONFIGURATION = """
[databases]
* = {server} user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 200
logfile = {folder}/log
"""


def _user_of(host: str) -> str:
    """Name whom to run as, since it refuses to be root: who may open the server's socket, or anybody."""
    owner = pwd.getpwuid(Path(host).stat().st_uid).pw_name if host.startswith("/") else "nobody"
    return owner if owner != "root" else "nobody"


class PgBouncer:
    """A pooler before a server, with a few connections to it that all clients share."""

    def __init__(self, server: str, connections: int = 4) -> None:
        """Take the address of a database on the server, which listens on a socket or a port."""
        parts = urlsplit(server)
        self._database = parts.path
        host = parse_qs(parts.query).get("host", [parts.hostname or "127.0.0.1"])[0]
        self._port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="carillon-pgbouncer-"))
        self._folder.chmod(0o777)
        self._user = () if os.geteuid() else ("-u", _user_of(host))
        behind = f"host={host}" + (f" port={parts.port}" if parts.port else "")
        text = _CONFIGURATION.format(server=behind, port=self._port, connections=connections, folder=self._folder)
        (self._folder / "configuration").write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the address of the database by way of the pooler."""
        return f"postgresql://postgres@127.0.0.1:{self._port}{self._database}"

    def log(self) -> str:
        """Return what it wrote."""
        return (self._folder / "log").read_text()

    def __enter__(self) -> Self:
        command = (program("pgbouncer"), "-q", *self._user, str(self._folder / "configuration"))
        self._process = subprocess.Popen(command)
        wait_until(self._answers, 20, self.log)
        return self

    def __exit__(self, *_fault: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=3).close()
        except psycopg.OperationalError:
            return False
        return True
