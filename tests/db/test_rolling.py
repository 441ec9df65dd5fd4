"""Rolling upgrades: a release works on a database that the next one has migrated, and says what it cannot work on."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner
from litestar.testing import TestClient
from sqlalchemy import text

from backend.cli import carillon
from backend.commands import database as commands
from backend.db import migrate
from backend.db.database import Database
from backend.db.migrate import Fit
from backend.lib import settings
from tests.application import application
from tests.commands.test_doctor import doctor

# What the next release's migration may do: add.
NEXT = (
    "ALTER TABLE deliveries ADD COLUMN of_the_next_release INTEGER",
    "ALTER TABLE notifications ADD COLUMN of_the_next_release VARCHAR(40) DEFAULT 'x' NOT NULL",
    "CREATE TABLE of_the_next_release (id INTEGER PRIMARY KEY)",
    "CREATE INDEX ix_of_the_next_release ON deliveries (of_the_next_release)",
    "UPDATE alembic_version SET version_num = '9999'",
)


def ahead(database: Database, *, oldest_code: str | None = None) -> None:
    """Let the next release have migrated the database; ``oldest_code`` is what may still work on it."""
    with database.transaction() as session:
        for statement in NEXT:
            session.execute(text(statement))
        if oldest_code is not None:
            session.execute(text("UPDATE installation SET oldest_code = :code"), {"code": oldest_code})


def test_a_database_that_only_got_more_is_worked_on(
    any_database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead(any_database)
    standing = migrate.standing(any_database)
    assert (standing.present, standing.fit, standing.usable) == ("9999", Fit.AHEAD, True)
    for env in ("production", "test"):
        monkeypatch.setenv("CARILLON_ENV", env)
        settings.current.cache_clear()
        commands.make_ready()
    assert caplog.text.count("it goes on working, and is to be replaced by the newer") == 2
    done = CliRunner().invoke(carillon, ["migrate"])
    assert done.exit_code == 0
    assert done.stdout.startswith(f"The database is at migration 9999, this release is of {migrate.head()}: it goes on")
    assert migrate.present(any_database) == "9999"
    assert CliRunner().invoke(carillon, ["services", "create", "New"]).exit_code == 0
    assert f"at migration 9999, newer than this release of {migrate.head()}" in doctor()[1]["database"][1]
    with TestClient(application()) as client:
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["database"]) == (200, "ok")


def test_a_database_that_lost_what_this_release_needs_is_not(
    any_database: Database, configure: Callable[..., settings.Settings]
) -> None:
    ahead(any_database, oldest_code="9998")
    standing = migrate.standing(any_database)
    assert (standing.fit, standing.usable) == (Fit.BEYOND, False)
    for arguments in (["migrate"], ["migrate", "--down"], ["services", "create", "New"], ["held"]):
        done = CliRunner().invoke(carillon, arguments)
        assert done.exit_code, arguments
        assert "9999, which" in done.output
    assert "too new for this release" in doctor()[1]["database"][1]
    with TestClient(application()) as client:
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
    assert answer.json()["database"].startswith("too new: it is at 9999")


def test_a_database_from_before_releases_said_so_is_not(database: Database) -> None:
    ahead(database)
    with database.transaction() as session:
        session.execute(text("DROP TABLE installation"))
    assert migrate.standing(database).fit is Fit.BEYOND


@pytest.mark.parametrize("present", ["0017", "before", "0020x"])
def test_an_older_or_unknown_one_is_to_be_migrated(database: Database, present: str) -> None:
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :present"), {"present": present})
    assert migrate.standing(database).fit is Fit.BEHIND


def test_the_database_keeps_from_when_on_code_may_work_on_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def oldest() -> str:
        with database.read() as session:
            return str(session.execute(text("SELECT oldest_code FROM installation")).scalar_one())

    known = dict(migrate._steps())
    assert oldest() == max((code for code in known.values() if code), default="0001")
    newest = migrate.head()
    monkeypatch.setattr(migrate, "_steps", lambda: known | {newest: "0018"})
    migrate.upgrade(database)
    assert oldest() == "0018"
