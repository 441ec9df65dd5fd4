"""What something costs, for tests that let one dimension grow and watch the cost stay."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from sqlalchemy import event

from backend.db.database import Database

Made = TypeVar("Made")


# As many more batches as the one of an aggregator, in SQLite, and a member in each.
MORE_BATCHES = """
INSERT INTO batches
    (uid, service_id, key, aggregator_id, type, recipient, template, content_type, subject, status, held, members,
     last_seq, quiet_seconds, max_wait_seconds, max_items, opened_at, last_member_at, closes_at, why)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :more)
SELECT randomblob(16), service_id, i || aggregator_id, aggregator_id, type, recipient, template, content_type, subject,
       status, held, members, last_seq, quiet_seconds, max_wait_seconds, max_items, opened_at, last_member_at,
       closes_at, why
FROM n CROSS JOIN (SELECT * FROM batches WHERE aggregator_id = :name LIMIT 1)
"""
MEMBERS_OF_MORE = """
INSERT INTO batch_members (batch_id, seq, notification_id, channel_index, recipient)
SELECT b.id, 1, m.notification_id, m.channel_index, m.recipient || b.id
FROM batches b CROSS JOIN (SELECT * FROM batch_members ORDER BY id DESC LIMIT 1) m
WHERE b.id NOT IN (SELECT batch_id FROM batch_members)
"""


class Cost(msgspec.Struct, frozen=True):
    """What something took: statements, sets of values given to them, bytes of its answer, seconds of this process."""

    statements: int
    sets: int
    size: int
    seconds: float


def measured(
    database: Database, do: Callable[[], Made], size: Callable[[Made], int] = lambda _made: 0
) -> tuple[Cost, Made]:
    """Do something, and return what it cost with what came of it."""
    seen: list[int] = []

    def note(_connection: Any, _cursor: Any, _statement: str, values: Any, _context: Any, many: bool) -> None:
        seen.append(len(values) if many else 1)

    event.listen(database.engine, "before_cursor_execute", note)
    began = time.process_time()
    try:
        made = do()
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    return Cost(len(seen), sum(seen), size(made), time.process_time() - began), made


class Steps(msgspec.Struct):
    """How far SQLite's virtual machine has come, in hundreds of its steps: the same on every machine."""

    hundreds: int = 0

    def __call__(self) -> int:
        """Count another hundred."""
        self.hundreds += 1
        return 0


@contextmanager
def counted(database: Database) -> Iterator[Steps]:
    """Count the steps of what SQLite is asked meanwhile."""
    steps = Steps()

    def watch(connection: Any) -> None:
        connection.connection.driver_connection.set_progress_handler(steps, 100)

    event.listen(database.engine, "begin", watch)
    try:
        yield steps
    finally:
        event.remove(database.engine, "begin", watch)
