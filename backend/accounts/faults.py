"""What the database's absence means to those who ask at a door."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backend.lib.problems import Problem


@contextmanager
def unavailable_without_database() -> Iterator[None]:
    """Turn a database that cannot be reached, or is busy for too long, into the problem ``unavailable``."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        detail = "The database cannot be reached at the moment."
        raise Problem("unavailable", detail, headers={"Retry-After": "5"}) from error
