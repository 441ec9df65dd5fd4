"""A disk that takes no more: what comes is answered 503, and nothing of it is kept, not even a half."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, func, select

from backend.db.models.notifications import Usage
from backend.db.session import Database
from tests.api.conftest import Site, is_problem
from tests.factories import notification


@contextmanager
def every_connection(database: Database, pragma: Callable[[Any], str], ending: str) -> Iterator[None]:
    """Give each connection a PRAGMA when it is taken, and another when it is handed back."""

    def begin(connection: Any, *_rest: object) -> None:
        connection.execute(pragma(connection))

    def end(connection: Any, *_rest: object) -> None:
        connection.execute(ending)

    event.listen(database.engine, "checkout", begin)
    event.listen(database.engine, "checkin", end)
    yield
    event.remove(database.engine, "checkout", begin)
    event.remove(database.engine, "checkin", end)


def full(connection: Any) -> str:
    """Let the file grow no further: SQLite then fails as it does on a full disk, in the midst of a statement."""
    return f"PRAGMA max_page_count={connection.execute('PRAGMA page_count').fetchone()[0]}"


STATES: dict[str, tuple[Callable[[Any], str], str]] = {
    "full": (full, "PRAGMA max_page_count=1073741823"),
    "read only": (lambda _connection: "PRAGMA query_only=ON", "PRAGMA query_only=OFF"),
}


def usage(site: Site) -> int:
    with site.laboratory.database.read() as session:
        return session.scalar(select(func.sum(Usage.count))) or 0


@pytest.mark.parametrize("state", STATES)
def test_nothing_is_accepted_and_nothing_half_written(site: Site, state: str) -> None:
    large = "x" * 400_000
    assert site.send(notification("S-1")).status_code == 202
    bulk = {"notifications": [notification("S-3"), notification("S-4", fields={"sample_id": large})]}
    with every_connection(site.laboratory.database, *STATES[state]):
        alone = site.send(notification(fields={"sample_id": large + "2"}))
        together = site.post("/notifications/v1/bulk", bulk)
    problem = is_problem(alone, 503, "unavailable")
    assert int(alone.headers["retry-after"]) > 0
    assert "notification_id" not in problem
    if together.status_code == 200:
        assert {one["status"] for one in together.json()["results"]} == {503}
    else:
        is_problem(together, 503, "unavailable")
    assert (site.stored(), usage(site)) == ((1, 1), 1)
    with site.laboratory.database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    results = site.post("/notifications/v1/bulk", bulk).json()["results"]
    assert [one["status"] for one in results] == [202, 202]
    assert site.send(notification(fields={"sample_id": large + "2"})).status_code == 202
    assert (site.stored(), usage(site)) == ((4, 4), 4)
