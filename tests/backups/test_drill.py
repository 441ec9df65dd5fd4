"""The drill: an installation is backed up, checked, put back elsewhere and moved, and nothing of it is missing."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import delete

from backend.backups import restoring, snapshot, taking
from backend.cli import carillon
from backend.db import database as db
from backend.db import tables
from backend.db.database import Database
from backend.db.models.accounts import Organisation
from backend.db.models.operations import Worker
from backend.lib import metrics, settings
from backend.monitoring import gauges
from backend.restored import recognition
from tests.conftest import MovableClock
from tests.portal.furnished import furnish
from tests.postgres import _address_of_driver

PASSPHRASE = "a passphrase of many words"
Configure = Callable[..., settings.Settings]


def run(*arguments: object, status: int = 0) -> dict[str, Any]:
    """Run a command and return what it prints; of one that fails, its sentence under ``said``."""
    done = CliRunner().invoke(carillon, [str(one) for one in arguments])
    assert done.exit_code == status, (done.output, done.exception)
    if status:
        return {"said": done.stderr}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def content(database: Database) -> dict[str, list[list[Any]]]:
    """Read every row, with JSON as what it means."""
    with snapshot.of(database) as connection:
        return {
            table.name: [[_meant(value) for value in row] for some in snapshot.rows(connection, table) for row in some]
            for table in tables.in_order()
            if not tables.is_derived(table.name)
        }


def _meant(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] in {"{", "["} else value


@pytest.fixture
def furnished(any_database: Database) -> Database:
    """Give an installation with something of nearly everything in it, and two letters that nobody has fetched."""
    furnish(any_database)
    with any_database.transaction() as session:
        session.execute(delete(Worker))
    recognition.look_once()
    spool = settings.current().data_dir / "letters" / "2026-03-02"
    spool.mkdir(parents=True)
    (spool / "one.pdf").write_bytes(b"%PDF-1.7 one")
    (spool / "two.pdf").write_bytes(b"%PDF-1.7 two")
    return any_database


@pytest.fixture
def elsewhere(
    request: pytest.FixtureRequest, configure: Configure, furnished: Database, tmp_path: Path
) -> Callable[..., Database]:
    """Give what makes another, empty place the present one, of the same kind of database or of PostgreSQL."""

    def go(*, sqlite: bool = furnished.is_sqlite, **values: str) -> Database:
        folder = tmp_path / "elsewhere"
        url = f"sqlite:///{folder}/carillon.db"
        if not sqlite:
            url = empty_postgres(request)
        configure(DATA_DIR=str(folder), DATABASE_URL=url, **values)
        return db.current()

    return go


def empty_postgres(request: pytest.FixtureRequest) -> str:
    """Make an empty database and return its address."""
    server: str = request.getfixturevalue("postgres_url")
    databases = request.getfixturevalue("postgres_databases")
    name = databases.take()
    databases._run("DROP DATABASE {} WITH (FORCE)", name)
    databases._run("CREATE DATABASE {}", name)
    request.addfinalizer(lambda: databases._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name))
    return _address_of_driver(server, name)


def test_what_was_backed_up_is_put_back_elsewhere_and_held(
    furnished: Database, elsewhere: Callable[..., Database], tmp_path: Path
) -> None:
    before = content(furnished)
    assert len(before["deliveries"]) > 10
    made = run("backup", tmp_path / "kept.zip")
    assert (tmp_path / "kept.zip").stat().st_mode & 0o777 == 0o600
    assert made["tables"] == {name: len(rows) for name, rows in before.items()}
    assert (made["files"], made["keys"]) == (2, False)
    assert run("verify", tmp_path / "kept.zip")["whole"] is True
    assert run("restore", tmp_path / "kept.zip", "--check")["restored"] is False

    there = elsewhere()
    done = run("restore", tmp_path / "kept.zip")
    assert done["restored"] is True
    after = content(there)
    changed = {"installation", "held_rows", "deliveries", "events", "batches", "callback_messages", "spreadsheets"}
    assert {name: rows for name, rows in after.items() if name not in changed} == {
        name: rows for name, rows in before.items() if name not in changed
    }
    assert sum(done["held"].values()) == len(after["held_rows"]) > 0
    assert run("held")["total"] == len(after["held_rows"])
    letters = settings.current().data_dir / "letters" / "2026-03-02"
    assert {path.name: path.read_bytes() for path in letters.iterdir()} == {
        "one.pdf": b"%PDF-1.7 one",
        "two.pdf": b"%PDF-1.7 two",
    }
    assert "in use" in run("restore", tmp_path / "kept.zip", status=1)["said"]
    # What is new gets numbers that nothing has.
    with there.transaction() as session:
        session.add(Organisation(name="Of the new place"))


def test_a_backup_of_one_database_goes_into_the_other(
    furnished: Database, elsewhere: Callable[..., Database], tmp_path: Path
) -> None:
    before = content(furnished)
    taking.take(furnished, settings.current(), tmp_path / "kept.zip", None)
    there = elsewhere(sqlite=not furnished.is_sqlite)
    restoring.restore(there, settings.current(), tmp_path / "kept.zip", None)
    assert content(there) == before


def test_keys_come_back_with_their_passphrase_alone(database: Database, configure: Configure, tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text(f"{PASSPHRASE}\n")
    made = run("backup", tmp_path / "kept.zip", "--passphrase-file", secret)
    assert made["keys"] is True
    kept = (tmp_path / "kept.zip").read_bytes()
    assert settings.current().secret_key.encode() not in kept

    before = settings.current().secret_key
    folder = tmp_path / "elsewhere"
    configure(
        DATA_DIR=str(folder), DATABASE_URL=f"sqlite:///{folder}/carillon.db", SECRET_KEY="quite-another-secret-key"
    )
    folder.mkdir()
    said = run("restore", tmp_path / "kept.zip", status=1)["said"]
    assert "CARILLON_SECRET_KEY is another one" in said
    assert "passphrase" in said
    wrong = tmp_path / "wrong"
    wrong.write_text("not the passphrase at all")
    said = run("restore", tmp_path / "kept.zip", "--passphrase-file", wrong, status=1)["said"]
    assert "does not open the keys" in said
    done = run("restore", tmp_path / "kept.zip", "--passphrase-file", secret)
    assert Path(done["keys_in"]).read_text() == f"CARILLON_SECRET_KEY={before}\n"
    assert Path(done["keys_in"]).stat().st_mode & 0o777 == 0o600


def test_days_are_kept_and_no_more(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    old = folder / "carillon-20200101T000000Z.zip"
    for path in (old, folder / "carillon-99990101T000000Z.zip", folder / "carillon-notes.txt"):
        path.touch()
    made = run("backup", folder, "--keep", 14)
    assert made["deleted"] == [old.name]
    assert {path.name for path in folder.iterdir()} == {
        "carillon-99990101T000000Z.zip",
        "carillon-notes.txt",
        Path(made["file"]).name,
    }


def test_how_old_the_last_good_backup_is_is_told(
    database: Database, moving_clock: MovableClock, configure: Configure, tmp_path: Path
) -> None:
    assert figures() == {"carillon_backup_overdue": 0.0}, "outside production nobody has to make any"
    run("backup", tmp_path / "missing" / "kept.zip", status=1)
    assert figures() == {"carillon_backup_overdue": 0.0}, "one that failed is none"
    run("backup", tmp_path / "kept.zip")
    moving_clock.forward(hours=1)
    assert figures() == {"carillon_backup_overdue": 0.0, "carillon_backup_age_seconds": 3600.0}
    moving_clock.forward(hours=47, seconds=1)
    assert figures() == {"carillon_backup_overdue": 1.0, "carillon_backup_age_seconds": 48 * 3600.0 + 1}
    configure(BACKUP_DAYS="0")
    assert figures()["carillon_backup_overdue"] == 0.0


def figures() -> dict[str, float]:
    """Read what ``/metrics`` says of backups."""
    gauges.clear()
    families = text_string_to_metric_families(metrics.exposition(gauges.State()).decode())
    return {one.name: one.value for family in families for one in family.samples if "backup" in one.name}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _turn(path: Path) -> None:
    """Change an octet within the rows of a table."""
    with zipfile.ZipFile(path) as archive:
        found = next(one for one in archive.infolist() if one.filename == "tables/templates.jsonl")
    raw = bytearray(path.read_bytes())
    raw[found.header_offset + 60 + found.compress_size // 2] ^= 0xFF
    path.write_bytes(raw)


def _rewritten(path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """Write a sound archive with other content."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in members.items():
            changed = change(name, raw)
            if changed is not None:
                archive.writestr(name, changed)


def _without_a_row(path: Path) -> None:
    def change(name: str, raw: bytes) -> bytes:
        return raw.partition(b"\n")[2] if name == "tables/templates.jsonl" else raw

    _rewritten(path, change)


def _without_a_table(path: Path) -> None:
    _rewritten(path, lambda name, raw: None if name == "tables/events.jsonl" else raw)


def _outside(path: Path) -> None:
    def change(name: str, raw: bytes) -> bytes:
        return raw.replace(b"letters/a.pdf", b"../etc/passwd") if name == "manifest.json" else raw

    _rewritten(path, change)


def _of_later(path: Path) -> None:
    def change(name: str, raw: bytes) -> bytes:
        if name != "manifest.json":
            return raw
        return json.dumps(json.loads(raw) | {"migration": "9999", "carillon": "9.0"}).encode()

    _rewritten(path, change)


def _miscounted(path: Path) -> None:
    def change(name: str, raw: bytes) -> bytes:
        if name != "manifest.json":
            return raw
        found = json.loads(raw)
        found["ledger"][0]["count"] += 1
        return json.dumps(found).encode()

    _rewritten(path, change)


DAMAGES: tuple[tuple[Callable[[Path], None], str], ...] = (
    (_cut, "no whole archive"),
    (_turn, "no whole archive"),
    (_without_a_row, "rows instead of"),
    (_without_a_table, "has no tables/events.jsonl"),
    (_outside, "has no place in a data directory"),
    (_of_later, "use the release that made it (9.0)"),
    (_miscounted, "The ledger differs: batches"),
)


def test_damage_is_found(database: Database, tmp_path: Path) -> None:
    furnish(database)
    letters = settings.current().data_dir / "letters"
    letters.mkdir()
    (letters / "a.pdf").write_bytes(b"%PDF-1.7")
    sound, path = tmp_path / "sound.zip", tmp_path / "kept.zip"
    run("backup", sound)
    for damage, sentence in DAMAGES:
        shutil.copy(sound, path)
        damage(path)
        said = run("verify", path, status=1)["said"]
        assert sentence in said, damage
        assert str(path) in said


def test_an_installation_moves_to_postgresql(
    request: pytest.FixtureRequest, database: Database, configure: Configure
) -> None:
    furnish(database)
    url = empty_postgres(request)
    assert "worker is running" in run("move", "--to", url, status=1)["said"]
    with database.transaction() as session:
        session.execute(delete(Worker))
    before = content(database)
    moved = run("move", "--to", url)
    assert "The database is in use" in run("move", "--to", url, status=1)["said"]
    assert moved["rows"] == {name: len(rows) for name, rows in before.items()}
    # What waits must not go out twice, should somebody start the old one.
    assert run("held")["total"] > 0
    configure(DATABASE_URL=url)
    after = content(db.current())
    assert {name: rows for name, rows in after.items() if name != "installation"} == {
        name: rows for name, rows in before.items() if name != "installation"
    }
    assert run("held")["total"] == 0
