"""The queue on PostgreSQL: processes that start at once make its tables between them."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sqlalchemy import text

from backend.db.session import Database
from backend.lib import queue, settings

_TOGETHER = 8


def test_processes_that_start_at_once_agree_on_the_tables(postgres_database: Database) -> None:
    url = settings.current().queue_url
    assert url.startswith("postgresql://")
    for _ in range(5):
        with postgres_database.write() as session:
            for table in ("kv", "schedule", "task", "counter"):
                session.execute(text(f"DROP TABLE IF EXISTS huey_{table}"))
        start = Barrier(_TOGETHER)

        def make(_number: int, start: Barrier = start) -> int:
            start.wait()
            return int(queue._on_postgresql(url, {"name": "carillon", "results": False}).pending_count())

        with ThreadPoolExecutor(_TOGETHER) as threads:
            assert list(threads.map(make, range(_TOGETHER))) == [0] * _TOGETHER
