"""The code of the release before: that of the last commit before the newest migration, taken from the history."""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rules.source import ROOT

VERSIONS = "backend/db/migrations/versions"
# What runs, as far as it is in the repository.
PARTS = ("backend", "portal_templates", "notification_templates", "static")
# By this the code of a commit is seen to promise that it works on a later database.
PROMISE = ("def standing(", "backend/db/migrate.py")
MISSING = (
    "The history of the repository is missing, in which the code of the release before is: this test needs a whole "
    "clone (git fetch --unshallow)."
)


def git(*arguments: str) -> bytes:
    """Run git in the project's folder.

    Raises:
        CalledProcessError: when it fails.
    """
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


def before_the_newest_migration() -> str:
    """Name the commit whose code is that of the release before."""
    try:
        found = next(_candidates(), None)
    except (OSError, subprocess.CalledProcessError):
        pytest.fail(MISSING)
    if found is None:
        if git("rev-parse", "--is-shallow-repository").strip() == b"true":
            pytest.fail(MISSING)
        found = _first_with_the_promise()
    return found


def _candidates() -> Iterator[str]:
    """Yield commits before migrations that promise to work on a later database, the newest first: of the main line."""
    for line in (("--first-parent", "-m"), ()):
        added = git("log", *line, "--diff-filter=A", "--format=%H", "--", VERSIONS).decode().split()
        for commit in added:
            before = git("rev-list", "--max-count=1", "--first-parent", "--skip=1", commit).decode().strip()
            if before and promises(before):
                yield before


def promises(commit: str) -> bool:
    """Tell whether the code of a commit promises to work on a later database, and today's migrations go on from it.

    Those of work that was done side by side get their numbers when it is brought together.
    """
    words, path = PROMISE
    done = subprocess.run(["git", "grep", "-qF", words, commit, "--", path], cwd=ROOT, check=False)
    return done.returncode == 0 and _migrations(commit) == _migrations("HEAD")[: len(_migrations(commit))]


def _migrations(commit: str) -> list[str]:
    names = git("ls-tree", "--name-only", commit, f"{VERSIONS}/").decode().split()
    return sorted(name for name in names if name.startswith(f"{VERSIONS}/0"))


def _first_with_the_promise() -> str:
    """Name the oldest commit that promises it, where no migration is younger."""
    words, path = PROMISE
    return git("log", "--reverse", f"-S{words}", "--format=%H", "--", path).decode().split()[0]


def unpacked() -> Path:
    """Unpack the code of the release before into the cache, with the front-end packages of this one."""
    commit = before_the_newest_migration()
    folder = ROOT / ".cache" / "releases" / commit
    if not (folder / "whole").exists():
        with tarfile.open(fileobj=io.BytesIO(git("archive", commit, *PARTS))) as archive:
            archive.extractall(folder, filter="data")
        packages = folder / "static" / "node_modules"
        packages.unlink(missing_ok=True)
        packages.symlink_to(ROOT / "static" / "node_modules")
        (folder / "whole").touch()
    return folder
