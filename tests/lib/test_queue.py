"""The queue: its tables are made between processes that start at once, and who waits for a task has it at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import text

from backend.db.database import Database
from backend.lib import queue, settings
from backend.lib.queue_storage import ListeningStorage, WatchedStorage

_TOGETHER = 8


def test_processes_that_start_at_once_agree_on_the_tables(postgres_database: Database) -> None:
    url = settings.current().queue_url
    assert url.startswith("postgresql://")
    for _ in range(5):
        with postgres_database.transaction() as session:
            for table in ("kv", "schedule", "task", "counter"):
                session.execute(text(f"DROP TABLE IF EXISTS huey_{table}"))
        start = Barrier(_TOGETHER)

        def make(_number: int, start: Barrier = start) -> int:
            start.wait()
            return int(ListeningStorage("carillon", address=url, create_tables=False).queue_size())

        with ThreadPoolExecutor(_TOGETHER) as threads:
            assert list(threads.map(make, range(_TOGETHER))) == [0] * _TOGETHER


def test_a_task_of_another_release_is_no_trouble_of_the_queue(
    configure: Callable[..., settings.Settings], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    configure(QUEUE_URL=f"sqlite:///{tmp_path / 'queue.db'}")
    gone = queue.huey().task(name="of_another_release")(print)
    gone()
    queue.huey()._registry.unregister(gone.task_class)
    consumer = queue.WakingConsumer(queue.huey(), threads=1, patience=1)
    taker = consumer._create_worker()
    taker.loop()
    assert [(entry.levelname, "A wake-up was lost" in entry.getMessage()) for entry in caplog.records] == [
        ("WARNING", True)
    ], "and not that the queue is away"


def test_on_sqlite_who_waits_has_a_task_as_soon_as_another_process_has_enqueued_it(tmp_path: Path) -> None:
    here, there = (WatchedStorage(filename=str(tmp_path / "queue.db"), create_tables=False) for _ in range(2))
    here.read_timeout = 10.0

    def take() -> bytes:
        while (task := here.dequeue()) is None:
            pass
        return task

    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(take) for _ in range(3)]
        for task in (b"one", b"two", b"three"):
            there.enqueue(task)
        assert {done.result(9.0) for done in waiting} == {b"one", b"two", b"three"}
