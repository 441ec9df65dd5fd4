"""Uploads are in the database, piece by piece: read from any place, by any process, until they are deleted."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from backend.db.database import Database
from backend.db.models.spreadsheets import UploadPiece
from backend.jobs import files
from backend.lib import ids, settings
from backend.lib.problems import Problem
from tests.conftest import MovableClock
from tests.factories import laboratory
from tests.jobs.conftest import Bureau


def pieces(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(UploadPiece)) or 0


@pytest.mark.parametrize("lines", [1, 1000, 9000])
def test_a_file_is_read_back_from_any_place(
    any_database: Database, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PIECE_BYTES", 1000)
    content = "".join(f"row {number}, é\n" for number in range(lines)).encode()
    uid = ids.random_id()
    assert files.keep(io.BytesIO(content), uid) == len(content)
    assert pieces(any_database) == -(-len(content) // 1000)
    for start in {0, 1, len(content) // 2, len(content) - 1, len(content)}:
        with files.opened(uid) as file:
            file.seek(start)
            assert file.read() == content[start:]
    with files.opened(uid) as file:
        assert list(file) == content.splitlines(keepends=True)
    files.drop(uid)
    assert pieces(any_database) == 0
    with pytest.raises(FileNotFoundError):
        files.opened(uid)


@pytest.mark.parametrize("bad", [b"", b"a,b\n" + b"\xff" * 10, b"a,b\n" * 400_000 + b"\0"])
def test_nothing_stays_of_a_file_that_cannot_be_used(database: Database, bad: bytes) -> None:
    with pytest.raises(Problem):
        files.keep(io.BytesIO(bad), ids.random_id())
    assert pieces(database) == 0


def test_what_was_left_half_way_is_deleted_after_a_day(database: Database, moving_clock: MovableClock) -> None:
    bureau = Bureau(laboratory(database))
    bureau.upload("email address,sample_id\nada@lab.example,S-1\n")
    files.keep(io.BytesIO(b"a,b\n"), ids.random_id())
    moving_clock.forward(hours=23)
    files.tidy()
    assert pieces(database) == 2
    moving_clock.forward(hours=2)
    files.tidy()
    assert pieces(database) == 1
    assert bureau.work().stage == "CHECKED"


def test_files_of_an_earlier_release_are_taken_in(
    database: Database, configure: Callable[..., settings.Settings], tmp_path: Path
) -> None:
    bureau = Bureau(laboratory(database))
    bureau.upload("email address,sample_id\nada@lab.example,S-1\n")
    uid = bureau.sheet().uid
    with files.opened(uid) as file:
        content = file.read()
    files.drop(uid)
    folder = settings.current().data_dir / "spreadsheets"
    folder.mkdir()
    (folder / f"{uid}.csv").write_bytes(content)
    (folder / f"{ids.random_id()}.csv").write_bytes(b"of nobody")
    files.adopt()
    assert list(folder.iterdir()) == []
    assert bureau.work().stage == "CHECKED"
    assert pieces(database) == 1
    files.adopt()
