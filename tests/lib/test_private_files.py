"""What was there with wider rights is its owner's alone after a start; what is made later is so from the beginning."""

import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.lib import private_files, settings

Configure = Callable[..., settings.Settings]


def rights(folder: Path) -> dict[str, str]:
    """Return the rights of a folder and of all in it, in octal digits."""
    found = {str(path.relative_to(folder)): path for path in (folder, *folder.rglob("*"))}
    return {name: f"{stat.S_IMODE(path.lstat().st_mode):o}" for name, path in found.items()}


def lay_out(data: Path) -> None:
    """Make the files of an installation as an umask of 000 leaves them."""
    os.umask(0)
    for folder in ("letters/2026-03-02", "spreadsheets", "metrics"):
        (data / folder).mkdir(parents=True)
    for name in (
        "carillon.db",
        "carillon.db-wal",
        "carillon.db-shm",
        "queue.db",
        "secret.key",
        "demo.json",
        "letters/2026-03-02/1.json",
        "letters/2026-03-02/1.pdf",
        "spreadsheets/1.csv",
        "metrics/counter_1.db",
    ):
        (data / name).touch()


def test_what_was_open_is_closed_and_said(configure: Configure, caplog: pytest.LogCaptureFixture) -> None:
    configuration = configure()
    data = configuration.data_dir
    lay_out(data)
    assert set(rights(data).values()) == {"777", "666"}
    with caplog.at_level(logging.WARNING):
        private_files.restrict(configuration)
    found = rights(data)
    assert {name: mode for name, mode in found.items() if mode != ("700" if (data / name).is_dir() else "600")} == {}
    assert f"Others could reach {data}, " in caplog.text
    caplog.clear()
    private_files.restrict(configuration)
    assert caplog.text == ""


def test_what_is_not_ours_and_what_links_lead_to_stays(configure: Configure, tmp_path: Path) -> None:
    configuration = configure()
    lay_out(configuration.data_dir)
    others = tmp_path / "others"
    others.mkdir()
    (others / "file").touch()
    (configuration.data_dir / "notes.txt").touch()
    (configuration.data_dir / "letters" / "linked").symlink_to(others)
    (configuration.data_dir / "linked.db").symlink_to(others / "file")
    private_files.restrict(configuration)
    assert rights(others) == {".": "777", "file": "666"}
    assert rights(configuration.data_dir)["notes.txt"] == "666"


def test_a_directory_that_others_share_stays_and_what_is_in_it_is_mended(configure: Configure) -> None:
    configuration = configure()
    lay_out(configuration.data_dir)
    configuration.data_dir.chmod(0o1777)
    private_files.restrict(configuration)
    found = rights(configuration.data_dir)
    assert (found["."], found["secret.key"], found["letters"]) == ("1777", "600", "700")


def test_databases_elsewhere_are_mended_too(configure: Configure, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.umask(0)
    for name in ("a.sqlite", "a.sqlite-wal", "q.sqlite", "other"):
        (elsewhere / name).touch()
    urls = {name: f"sqlite:///{elsewhere}/{file}.sqlite" for name, file in (("DATABASE_URL", "a"), ("QUEUE_URL", "q"))}
    private_files.restrict(configure(**urls))
    assert rights(elsewhere) == {
        ".": "755",
        "a.sqlite": "600",
        "a.sqlite-wal": "600",
        "q.sqlite": "600",
        "other": "666",
    }


def test_what_may_not_be_changed_is_said(
    configure: Configure, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = configure()
    lay_out(configuration.data_dir)

    def refuse(_path: Path, _mode: int) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "chmod", refuse)
    private_files.restrict(configuration)
    assert "whose rights this user may not change" in caplog.text


def test_new_files_are_the_owner_s_alone(tmp_path: Path) -> None:
    os.umask(0)
    private_files.keep_private()
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    found = rights(tmp_path)
    assert (found["file"], found["folder"]) == ("600", "700")
