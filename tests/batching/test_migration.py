"""The migration that brings batches keeps what is there, forwards and backwards, on both databases."""

from alembic import command
from sqlalchemy import inspect, text

from backend.db import alembic_steps, migrate
from backend.db.database import Database

_NOW = "2026-03-02 09:00:00.000000"
_ROWS = (
    "INSERT INTO services (id, name, active, live, created_at) VALUES (1, 'S', true, true, '{now}')",
    (
        "INSERT INTO templates (id, identifier, service_id, current_version, created_at, updated_at)"
        " VALUES (1, 'X_T', 1, 1, '{now}', '{now}')"
    ),
    (
        "INSERT INTO template_versions"
        " (id, template_id, number, name, format, source, content_hash, created_at, created_by)"
        " VALUES (1, 1, 1, 'T', 'text', 't', 'h', '{now}', 'c')"
    ),
    (
        "INSERT INTO notifications (id, uid, service_id, priority, status, created_at, updated_at)"
        " VALUES (1, {uid}, 1, 1, 'SENT', '{now}', '{now}')"
    ),
    (
        "INSERT INTO deliveries (id, uid, notification_id, service_id, priority, channel_index, type,"
        " template_version_id, recipients, address, status, attempts, due_at, created_at)"
        " VALUES (7, {uid}, 1, 1, 1, 0, 'EMAIL', 1, '[\"X_LAB\"]', 'a@lab.example', 'SENT', 1, '{now}', '{now}')"
    ),
    "INSERT INTO events (id, notification_id, delivery_id, at, kind) VALUES (1, 1, 7, '{now}', 'accepted')",
    (
        "INSERT INTO outbox_messages (id, delivery_id, service_id, channel, sender, address, text, created_at)"
        " VALUES (1, 7, 1, 'EMAIL', 's@x.example', 'a@lab.example', 'hello', '{now}')"
    ),
)


def downgrade(database: Database, revision: str) -> None:
    with database.engine.execution_options(carillon_write=True).begin() as connection:
        command.downgrade(alembic_steps.config(connection), revision)


def fill(database: Database) -> None:
    uid = "x'000102030405060708090a0b0c0d0e0f'" if database.is_sqlite else "'00010203-0405-0607-0809-0a0b0c0d0e0f'"
    with database.transaction() as session:
        for row in _ROWS:
            session.execute(text(row.format(now=_NOW, uid=uid).replace(":", "\\:")))


def counts(database: Database) -> list[int]:
    with database.read() as session:
        return [
            session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608 - names from this file
            for table in ("deliveries", "events", "outbox_messages")
        ]


def indexes(database: Database) -> dict[str, str]:
    found = inspect(database.engine).get_indexes("deliveries")
    return {
        str(index["name"]): " ".join(str(option) for option in index.get("dialect_options", {}).values())
        for index in found
    }


def test_rows_and_partial_indexes_survive(any_database: Database) -> None:
    downgrade(any_database, "0001")
    before = indexes(any_database)
    fill(any_database)
    migrate.upgrade(any_database, "0002")
    assert counts(any_database) == [1, 1, 1]
    assert before.items() <= indexes(any_database).items()
    assert "QUEUED" in before["ix_deliveries_due"]
    nullable = {column["name"]: column["nullable"] for column in inspect(any_database.engine).get_columns("deliveries")}
    assert nullable["notification_id"]
    assert not nullable["address"]
    downgrade(any_database, "0001")
    assert counts(any_database) == [1, 1, 1]
    migrate.upgrade(any_database)
    assert counts(any_database) == [1, 1, 1]
