"""A queue on PostgreSQL whose server process hangs, while the server itself takes connections that hang as well."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from huey import Huey


@contextmanager
def frozen_backend(engine: Huey) -> Iterator[None]:
    """Stop the process at the other end of the queue's connection, and each that takes its place, for the block."""
    stopped: list[int] = []
    connect = engine.storage.connection

    def freeze(connection: object) -> None:
        number = connection.info.backend_pid  # type: ignore[attr-defined] # a connection of psycopg
        os.kill(number, signal.SIGSTOP)
        stopped.append(number)

    def connect_and_freeze() -> object:
        connection = connect()
        freeze(connection)
        return connection

    freeze(engine.storage.conn)
    engine.storage.connection = connect_and_freeze
    yield
    engine.storage.connection = connect
    for number in stopped:
        os.kill(number, signal.SIGCONT)
