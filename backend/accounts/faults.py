"""What the database's absence means to those who ask at an entry point."""

from collections.abc import Iterator
from contextlib import contextmanager

from backend.lib import outages
from backend.lib.problems import Problem


@contextmanager
def unavailable_without_database() -> Iterator[None]:
    """Turn a database that cannot be reached or written to, or is busy for too long, into ``unavailable``."""
    try:
        yield
    except Exception as error:
        if outages.is_outage(error):
            raise unavailable(error) from error
        raise


def unavailable(error: BaseException) -> Problem:
    """Say that something cannot be done at the moment, and why; nothing of it was kept."""
    detail = f"The database cannot be used at the moment: {outages.reason(error)}. Nothing was kept."
    return Problem("unavailable", detail, headers={"Retry-After": "5"})
