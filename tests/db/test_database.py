"""Transactions: a write is kept whole or not at all, writers queue, and readers never hold them up."""

import sqlite3
from contextlib import nullcontext
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from backend.db import database as db
from backend.db.database import Database
from backend.db.driver import Select
from backend.db.models.accounts import ApiClient, Organisation
from backend.db.statements import insert
from tests import sqlite_memory
from tests.intake.conftest import at_once


def names(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(Organisation.name)))


def test_a_write_is_committed_at_its_end(each_database: Database) -> None:
    with each_database.transaction() as session:
        session.add(Organisation(name="Sanger"))
    assert names(each_database) == {"Sanger"}


def test_a_write_that_fails_leaves_nothing(each_database: Database) -> None:
    def fail() -> None:
        with each_database.transaction() as session:
            session.add(Organisation(name="Sanger"))
            session.flush()
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        fail()
    assert names(each_database) == set()
    with each_database.transaction() as session:
        session.add(Organisation(name="EBI"))
    assert names(each_database) == {"EBI"}


def test_a_read_keeps_nothing_that_it_changed(each_database: Database) -> None:
    with each_database.read() as session:
        session.execute(text("SELECT 1"))
        session.add(Organisation(name="Sanger"))
    assert names(each_database) == set()


def test_what_belongs_to_nobody_is_refused(each_database: Database) -> None:
    with pytest.raises(IntegrityError), each_database.transaction() as session:
        session.add(ApiClient(client_id="a", service_id=999, name="a", scopes=""))


def test_many_writers_lose_nothing(each_database: Database) -> None:
    def write(number: int) -> None:
        with each_database.transaction() as session:
            count = session.scalar(select(func.count(Organisation.id)))
            session.add(Organisation(name=f"{number} after {count}"))

    at_once([lambda number=number: write(number) for number in range(16)])
    assert len(names(each_database)) == 16


def test_a_server_that_has_come_to_read_only_is_left_for_another(postgres_database: Database) -> None:
    with postgres_database.engine.connect() as connection:
        kept = connection.connection.driver_connection
        connection.exec_driver_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        connection.commit()
    with pytest.raises(DBAPIError, match="read-only"), postgres_database.transaction() as session:
        session.execute(insert(session, Organisation).values(name="Sanger"))
    with postgres_database.transaction() as session:
        assert session.connection().connection.driver_connection is not kept
        session.add(Organisation(name="EBI"))
    assert names(postgres_database) == {"EBI"}


def test_two_processes_write_to_one_file_in_turn(database: Database) -> None:
    other = Database(database.url.render_as_string())

    def write(one: Database, number: int) -> None:
        with one.transaction() as session:
            count = session.scalar(select(func.count(Organisation.id)))
            session.add(Organisation(name=f"{count}"))

    at_once([lambda n=n: write((database, other)[n % 2], n) for n in range(12)])
    assert names(database) == {str(number) for number in range(12)}
    other.close()


@pytest.mark.parametrize(("code", "tries"), [(sqlite3.SQLITE_BUSY, 3), (sqlite3.SQLITE_CANTOPEN, 1)])
def test_a_new_file_that_another_process_makes_ready_is_waited_for(code: int, tries: int) -> None:
    """SQLite does not wait by itself where two connections switch a file to write-ahead logging at once."""
    tried: list[str] = []

    class Connection:
        def execute(self, statement: str) -> None:
            tried.append(statement)
            if len(tried) < 3:
                error = sqlite3.OperationalError("not now")
                error.sqlite_errorcode = code
                raise error

    with nullcontext() if tries == 3 else pytest.raises(sqlite3.OperationalError):
        db._log_ahead(Connection())  # type: ignore[arg-type] # all that is used of one
    assert tried == ["PRAGMA journal_mode=WAL"] * tries


def test_a_reader_sees_what_was_committed_while_a_writer_is_at_work(each_database: Database) -> None:
    with each_database.transaction() as session:
        session.add(Organisation(name="Sanger"))
    with each_database.transaction() as session:
        session.add(Organisation(name="EBI"))
        session.flush()
        assert names(each_database) == {"Sanger"}
    assert names(each_database) == {"Sanger", "EBI"}


@pytest.mark.usefixtures("as_in_operation")
@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 1)])
def test_sqlite_keeps_what_was_answered_unless_it_is_told_to_hurry(
    tmp_path: Path, *, durable: bool, synchronous: int
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new' / 'carillon.db'}", durable=durable)
    pragmas = ("journal_mode", "synchronous", "foreign_keys")
    with database.engine.connect() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    assert found == ["wal", synchronous, 1]
    database.close()


@pytest.mark.usefixtures("as_in_operation")
def test_a_worker_hurries_although_its_database_was_looked_at_before(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db._Process, "durable", True)

    def synchronous() -> object:
        with db.current().transaction() as session:
            return session.scalar(text("PRAGMA synchronous"))

    assert (db.current(), synchronous()) == (database, 2)
    db.relax()
    assert synchronous() == 1
    db.current().close()


def test_statements_with_lists_of_every_length_are_not_all_kept(database: Database) -> None:
    listed = Select("SELECT name FROM organisations WHERE id IN ({})")
    with database.read() as session:
        list(listed.rows(session, [1]))
        before = sqlite_memory.used()
        for count in range(100, 228):
            assert list(listed.rows(session, range(count))) == []
        assert sqlite_memory.used() - before < 2_000_000


def test_an_insert_that_meets_its_equal_can_pass_on_both_databases(each_database: Database) -> None:
    for _ in range(2):
        with each_database.transaction() as session:
            statement = insert(session, Organisation).on_conflict_do_nothing(index_elements=["name"])
            added = session.execute(statement.returning(Organisation.id), [{"name": "Sanger"}]).all()
    assert (added, names(each_database)) == ([], {"Sanger"})


@pytest.mark.usefixtures("as_in_operation")
def test_only_a_write_that_need_not_be_durable_waits_for_no_disk(each_database: Database) -> None:
    ask, waits = ("PRAGMA synchronous", 2) if each_database.is_sqlite else ("SHOW synchronous_commit", "on")
    seen = []
    for durable in (True, False, True):
        with each_database.transaction(durable=durable) as session:
            seen.append(session.scalar(text(ask)) == waits)
    assert seen == [True, False, True]
