"""Each fault of the table, planted in an installation that is well: the doctor finds it, in every form that it has."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from backend.commands import inspect
from backend.db.database import Database
from backend.db.models.installation import Installation
from backend.doctor import examination
from backend.doctor.checks import CHECKS
from backend.doctor.examination import Finding, Level
from backend.lib import clock, settings
from tests.doctor.planted import FAULTS, PAGE, Planted, table
from tests.doctor.planting import Installed
from tests.smtp_server import SmtpServer

SOUND = {
    "ENV": "production",
    "SECRET_KEY": "q8X0vR3kT6mZ1yB7nC4dF9gH2jL5pW8s",
    "BASE_URL": "https://localhost",
    "MAIL_FROM": "Laboratory <lab@lab.example>",
}
_STATUS = {Level.FAULT: 1, Level.WARNING: 2}


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    """Give a mail server that wants TLS and a password."""
    with SmtpServer(tls="starttls", credentials=("carillon", "secret")) as running:
        yield running


@pytest.fixture
def installed(
    request: pytest.FixtureRequest,
    server: SmtpServer,
    configure: Callable[..., settings.Settings],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Installed:
    """Give an installation that is set up as production wants it, on the database of which the fault is."""
    planted = getattr(request, "param", None)
    on_postgresql = isinstance(planted, Planted) and planted.postgresql
    database: Database = request.getfixturevalue("postgres_database" if on_postgresql else "database")
    url = {"DATABASE_URL": os.environ["CARILLON_DATABASE_URL"]} if on_postgresql else {}

    def set_up(**values: str) -> None:
        configure(**(SOUND | url | {"EMAIL_PROVIDERS": server.address} | values))

    set_up()
    with database.transaction() as session:
        session.execute(update(Installation).values(backed_up_at=clock.now() - timedelta(hours=5)))
    return Installed(database, server, set_up, monkeypatch, tmp_path, request.addfinalizer)


def found(name: str) -> Finding:
    """Look at one thing."""
    (one,) = examination.examine([check for check in CHECKS if check.name == name])
    return one


def told() -> tuple[int, dict[str, Finding]]:
    """Ask as monitoring does: the exit status, and the findings of ``--json`` by their name."""
    done = CliRunner().invoke(inspect.doctor, ["--json"])
    answer = json.loads(done.stdout)
    assert answer["status"] == {0: "well", 1: "fault", 2: "warning"}[done.exit_code]
    return done.exit_code, {
        one["name"]: Finding(one["name"], Level(one["level"]), one["message"]) for one in answer["checks"]
    }


def test_an_installation_as_it_should_be_is_well(installed: Installed) -> None:
    status, findings = told()
    assert (status, {name: one for name, one in findings.items() if one.level is not Level.OK}) == (0, {})


@pytest.mark.parametrize(
    ("installed", "planted"), [(one, one) for one in FAULTS], indirect=["installed"], ids=lambda one: one.fault
)
def test_a_fault_is_found_and_told_with_what_to_do(installed: Installed, planted: Planted) -> None:
    assert found(planted.name).level is Level.OK, "before it is planted"
    planted.plant(installed)
    status, findings = told()
    one = findings[planted.name]
    assert one.level is planted.level, one
    assert planted.says in one.message
    assert planted.do in one.message
    assert status == (1 if any(other.level is Level.FAULT for other in findings.values()) else _STATUS[planted.level])
    assert "wrong" not in one.message, "of the password that was planted"
    assert installed.server.messages == [], "nothing is sent"


def test_no_backup_is_asked_for_where_something_else_makes_them(installed: Installed) -> None:
    with installed.database.transaction() as session:
        session.execute(update(Installation).values(backed_up_at=None))
    assert found("backup").level is Level.WARNING
    installed.set_up(BACKUP_DAYS="0")
    assert found("backup").level is Level.OK


def test_the_handbook_has_the_table() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), "python -m tests.doctor.planted writes it"


def test_every_look_at_what_an_operator_can_mend_has_a_fault() -> None:
    """What has none is looked at by tests of its own, and listed here so that a new look gets a fault."""
    elsewhere = {
        "settings", "storage", "providers", "scanner", "routes", "messages", "doubt", "held", "ledger", "obligations",
        "bounces", "spf", "dkim", "dmarc", "mta-sts",
    }  # fmt: skip
    assert {one.name for one in CHECKS} - {one.name for one in FAULTS} == elsewhere
