"""What an installation keeps in files is its owner's alone: 0700 for folders, 0600 for files.

What the processes make is made so, by their umask. What was there before with wider rights is mended when they start.
"""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

from backend.lib.settings import SettingError, Settings

logger = logging.getLogger(__name__)

UMASK = 0o077
_FOLDER, _FILE = 0o700, 0o600
# What is Carillon's own in the data directory, where somebody may keep other things too.
_OWN_FOLDERS = ("letters", "spreadsheets", "metrics")
_OWN_FILES = ("*.db", "*.db-wal", "*.db-shm", "*.db-journal", "*.key", "*.json", "*.id", "*.epoch", "*.log", ".*.key.*")
_NAMED = 3


def keep_private() -> None:
    """Have this process, and those that it starts, make files for their owner alone."""
    os.umask(UMASK)


def claim(folder: Path) -> None:
    """Make the data directory if it is not there, and see that files can be made in it.

    Raises:
        SettingError: when they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=_FOLDER)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = (error.strerror or "not possible").lower()
        raise SettingError(
            f"CARILLON_DATA_DIR cannot be used: {folder}: {reason}. Give the directory to the user of the process."
        ) from error


def restrict(configuration: Settings) -> None:
    """Take from others what rights they have to the data directory and to the files of database and queue.

    It says in the log what was open, and what it may not change. A directory that others share by its nature, with
    the sticky bit as ``/tmp`` has it, stays as it is; what is in it is mended.
    """
    opened, left = [], []
    for path, wanted in _kept(configuration):
        try:
            rights = stat.S_IMODE(path.lstat().st_mode)
            if rights & 0o077:
                path.chmod(rights & wanted)
                opened.append(path)
        except FileNotFoundError:
            continue  # a process that ends takes its files away
        except PermissionError:
            left.append(path)
    if opened:
        logger.warning("Others could reach %s: now the owner alone can", _list(opened))
    if left:
        logger.warning("Others can reach %s, whose rights this user may not change: mend them", _list(left))


def _list(paths: list[Path]) -> str:
    named = ", ".join(str(path) for path in paths[:_NAMED])
    return named if len(paths) <= _NAMED else f"{named} and {len(paths) - _NAMED} more files of the installation"


def _kept(configuration: Settings) -> Iterator[tuple[Path, int]]:
    """Yield what is kept in files, each with the rights that it may have."""
    data = configuration.data_dir
    if data.is_dir():
        if not data.stat().st_mode & stat.S_ISVTX and data != Path(data.anchor):
            yield data, _FOLDER
        for pattern in _OWN_FILES:
            yield from ((path, _FILE) for path in data.glob(pattern) if _is_plain(path))
        for name in _OWN_FOLDERS:
            yield from _below(data / name)
    for url in (configuration.database_url, configuration.queue_url):
        if url.startswith("sqlite:///"):
            path = Path(url.removeprefix("sqlite:///"))
            some = (path, *(path.with_name(f"{path.name}-{end}") for end in ("wal", "shm", "journal")))
            yield from ((one, _FILE) for one in some if _is_plain(one))


def _below(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield a folder and all in it; links are not followed."""
    if folder.is_dir() and not folder.is_symlink():
        yield folder, _FOLDER
        with os.scandir(folder) as entries:
            for entry in entries:
                path = Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    yield from _below(path)
                elif entry.is_file(follow_symlinks=False):
                    yield path, _FILE


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
