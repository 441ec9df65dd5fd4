"""Every migration can be taken back, one at a time, with rows in the tables, and be run again."""

import time
from collections import Counter

import pytest
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import inspect, text

from backend.accounts.audit import Actor
from backend.commands.database import migrate as command
from backend.db import alembic_steps, migrate
from backend.db.database import Database
from backend.restored import decisions
from tests.db.test_migrations import differences, tables
from tests.portal.furnished import furnish

pytestmark = pytest.mark.timeout(240)

# What belongs to no notification cannot be told where there are no batches.
LOSES = {"0002": {"deliveries", "events", "outbox_messages"}}


def rows(database: Database) -> Counter[str]:
    """Count the rows of every table."""
    names = sorted(tables(database) - {"alembic_version"})
    with database.read() as session:
        return Counter({name: session.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() for name in names})  # noqa: S608


def test_each_migration_is_taken_back_and_run_again_with_rows_in_the_tables(any_database: Database) -> None:
    furnish(any_database)
    steps = [step.revision for step in ScriptDirectory.from_config(alembic_steps.config()).walk_revisions()]
    full = rows(any_database)
    assert len([name for name, count in full.items() if count]) > 20
    for below, step in zip(steps[1:], steps, strict=False):
        before = rows(any_database)
        migrate.downgrade(any_database)
        assert migrate.present(any_database) == below
        after = rows(any_database)
        kept = after.keys() - LOSES.get(step, set())
        assert {name: before[name] for name in kept} == {name: after[name] for name in kept}, f"{step} lost rows"
        migrate.upgrade(any_database, step)
        again = rows(any_database)
        assert {name: again[name] for name in after} == after, f"running {step} again lost rows"
        migrate.downgrade(any_database)
    migrate.upgrade(any_database)
    assert [one for one in differences(any_database) if "huey_" not in str(one)] == []  # where the queue is there too


def test_the_command_takes_the_newest_one_back(database: Database) -> None:
    done = CliRunner().invoke(command, ["--down"])
    assert done.exit_code == 0, done.output
    assert migrate.present(database) != migrate.head()
    assert done.output == f"The database is at migration {migrate.present(database)}.\n"
    done = CliRunner().invoke(command)
    assert done.output == f"The database is at migration {migrate.head()}.\n"


def test_what_is_held_back_is_decided_about_before_that_is_forgotten(database: Database) -> None:
    furnish(database)
    assert decisions.keep(Actor("command", "tests")).total()
    below = migrate.present(database)
    while below is not None and below > "0018":
        done = CliRunner().invoke(command, ["--down"])
        if done.exit_code:
            break
        below = migrate.present(database)
    assert done.exit_code == 69
    assert "decide with `carillon held` first" in done.output
    assert inspect(database.engine).has_table("held_rows")


@pytest.mark.parametrize("at", ["0001", None])
def test_there_is_nothing_below_the_first(database: Database, at: str | None) -> None:
    with database.transaction() as session:
        session.execute(
            text("UPDATE alembic_version SET version_num = :at" if at else "DELETE FROM alembic_version"), {"at": at}
        )
    done = CliRunner().invoke(command, ["--down"])
    assert done.exit_code == 1
    assert "there is nothing to take back" in done.output


def test_tables_that_are_in_use_are_waited_for_briefly_and_then_left(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads behind a waiting migration waits too, so that it may not wait for long."""
    monkeypatch.setattr(migrate, "_LOCK_TIMEOUT", "100ms")
    monkeypatch.setattr(migrate, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(migrate, "_TRIES", 2)
    while migrate.standing(postgres_database).present != "0021":  # which made the table that is read here
        assert CliRunner().invoke(command, ["--down"]).exit_code == 0
    with postgres_database.engine.connect() as reading:
        reading.execute(text("SELECT * FROM held_rows")).all()
        done = CliRunner().invoke(command, ["--down"])
        assert done.exit_code == 69
        assert "in use by a transaction that does not end" in done.output
        assert migrate.standing(postgres_database).present == "0021"
        began = time.monotonic()
        reading.execute(text("SELECT * FROM installation")).all()
        assert time.monotonic() - began < 5
    assert CliRunner().invoke(command, ["--down"]).exit_code == 0
