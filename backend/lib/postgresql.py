"""Connections to PostgreSQL: by several hosts, through a pooler, and to one that has fallen silent."""

import time
from collections.abc import Mapping
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict

Answer = TypeVar("Answer")
AnyConnection = TypeVar("AnyConnection", bound=psycopg.Connection[Any])

# So long, in seconds, the queue is waited for: whoever wants to wake a worker has better things to do.
PATIENCE_SECONDS = 2.0
# Each by its name in PostgreSQL's documentation (libpq, "Parameter Key Words"): a host that has vanished without a
# word is given up after some 15 seconds, and another one is tried. What the address itself says goes before.
_OF_ALL: Mapping[str, int | str] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
# Of several hosts only the one that takes what is written is of use.
_OF_SEVERAL: Mapping[str, int | str] = {"target_session_attrs": "read-write"}


class ImpatientConnection(psycopg.Connection[Any]):
    """A connection that gives a server up which does not answer in time, frozen ones included."""

    def wait(self, gen: PQGen[Answer], interval: float = 0.1, timeout: float | None = None) -> Answer:
        """Wait for an answer; one that is late ends the connection, which would have it later otherwise.

        Raises:
            psycopg.OperationalError: there is none, or it is late.
        """
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        end = time.monotonic() + PATIENCE_SECONDS
        try:
            return super().wait(gen, interval, PATIENCE_SECONDS)
        except psycopg.OperationalError:
            if time.monotonic() >= end:
                self.pgconn.finish()
            raise


def is_readable(url: str) -> bool:
    """Tell whether an address is one as PostgreSQL's own clients take it, with several hosts or one."""
    try:
        ports = str(conninfo_to_dict(url).get("port") or "").split(",")
    except psycopg.ProgrammingError:
        return False
    return all(not port or (port.isascii() and port.isdigit() and 0 < int(port) < 65536) for port in ports)


def connect(kind: type[AnyConnection], url: str, **options: Any) -> AnyConnection:
    """Connect to an address; through a pooler nothing is kept in the session.

    A pooler that gives a server's connection to another client after each transaction would give away what was
    prepared too.

    Raises:
        psycopg.OperationalError: nobody can be reached, or none of several hosts takes what is written.
    """
    given = conninfo_to_dict(url)
    several = "," in str(given.get("host") or given.get("hostaddr") or "")
    defaults = {**_OF_ALL, **(_OF_SEVERAL if several else {})}
    autocommit = options.pop("autocommit", False)
    connection = kind.connect(**{**defaults, **given, **options}, autocommit=True)
    if is_pooled(connection):
        connection.prepare_threshold = None
    connection.autocommit = autocommit
    return connection


def is_pooled(connection: psycopg.Connection[Any]) -> bool:
    """Tell whether a pooler such as PgBouncer stands between, which shows clients another number than the server's."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return row is None or row[0] != connection.info.backend_pid
