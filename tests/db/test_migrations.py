"""Migrations: one line of them, which brings an empty database to what the models say, on SQLite and PostgreSQL."""

import threading

import pytest
from advanced_alchemy.base import orm_registry
from advanced_alchemy.types import GUID
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from backend.db import alembic_steps, migrate
from backend.db.database import Database


def script() -> ScriptDirectory:
    return ScriptDirectory.from_config(alembic_steps.config())


def same_type(context: MigrationContext, _there: object, _column: object, _read: object, said: object) -> bool | None:
    """Leave types to Alembic, but for UUIDs on SQLite, which reads its own BINARY(16) back as a number."""
    return False if isinstance(said, GUID) and context.dialect.name == "sqlite" else None


def is_mapped(name: str | None, _kind: str, _parents: object) -> bool:
    """Leave out what only one of the databases has: SQLite's tables of a full-text index, PostgreSQL's own index."""
    return not (name or "").startswith(("search_words", "ix_search_entries_words"))


def tables(database: Database) -> set[str]:
    return {name for name in inspect(database.engine).get_table_names() if is_mapped(name, "table", None)}


def differences(database: Database) -> list[object]:
    """Return what the tables have and the models do not, or the other way round."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": same_type, "include_name": is_mapped})
        return list(compare_metadata(context, orm_registry.metadata))


def test_there_is_one_head_and_one_way_to_it() -> None:
    assert script().get_heads() == [migrate.head()]
    steps = [step.revision for step in script().walk_revisions()]
    assert steps == sorted(steps, reverse=True)
    assert all(not step.is_branch_point and not step.is_merge_point for step in script().walk_revisions())


def test_an_empty_database_is_brought_to_what_the_models_say(empty_address: str) -> None:
    database = Database(empty_address)
    assert migrate.present(database) is None
    migrate.upgrade(database)
    assert migrate.present(database) == migrate.head()
    assert tables(database) - {"alembic_version"} == set(orm_registry.metadata.tables)
    assert differences(database) == []
    database.close()


def test_each_step_can_be_taken_by_itself_and_again(empty_address: str) -> None:
    database = Database(empty_address)
    steps = [step.revision for step in script().walk_revisions()][::-1]
    for step in steps:
        migrate.upgrade(database, step)
        assert migrate.present(database) == step
    migrate.upgrade(database)
    assert differences(database) == []
    database.close()


def test_processes_that_start_together_migrate_one_after_the_other(empty_address: str) -> None:
    databases = [Database(empty_address) for _ in range(3)]
    failures: list[Exception] = []

    def upgrade(database: Database) -> None:
        try:
            migrate.upgrade(database)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=upgrade, args=[database]) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert {migrate.present(database) for database in databases} == {migrate.head()}
    for database in databases:
        database.close()


def test_a_step_that_fails_leaves_nothing_behind(empty_address: str) -> None:
    database = Database(empty_address)
    with database.engine.execution_options(carillon_write=True).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE deliveries (id INTEGER)")
    with pytest.raises(DBAPIError, match="deliveries"):
        migrate.upgrade(database)
    assert migrate.present(database) is None
    assert set(inspect(database.engine).get_table_names()) - {"alembic_version"} == {"deliveries"}
    database.close()


def test_asking_where_a_database_is_leaves_nothing_behind(each_database: Database) -> None:
    assert migrate.present(each_database) == migrate.head()
    kept = len(each_database.engine._compiled_cache or ())
    for _ in range(5):
        migrate.present(each_database)
    assert len(each_database.engine._compiled_cache or ()) == kept
