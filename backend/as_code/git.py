"""What git says of a folder: its commit, its repository, and the words of the last commit."""

import os
import re
import subprocess
from pathlib import Path

import msgspec

_SECONDS = 10
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_USER = re.compile(r"(?<=://)[^/@\s]*@")
_LONGEST_REPOSITORY, _LONGEST_MESSAGE = 300, 500


class Revision(msgspec.Struct, frozen=True):
    """The commit that a folder is at, ``…-dirty`` with changes that are not committed; None for what is not known.

    The address of the repository is without a user's name and password.
    """

    commit: str | None = None
    repository: str | None = None
    message: str | None = None


def revision(folder: Path) -> Revision:
    """Ask git about a folder; nothing is known of one without it."""
    commit = _asked(folder, "rev-parse", "--short=12", "HEAD")
    if commit is None or not _COMMIT.fullmatch(commit):
        return Revision()
    dirty = "-dirty" if _asked(folder, "status", "--porcelain", "--", ".") else ""
    remote = _asked(folder, "config", "--get", "remote.origin.url")
    message = None if dirty else _asked(folder, "log", "-1", "--format=%s")
    return Revision(
        commit + dirty,
        _USER.sub("", remote)[:_LONGEST_REPOSITORY] if remote else None,
        message[:_LONGEST_MESSAGE] if message else None,
    )


def _asked(folder: Path, *question: str) -> str | None:
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed question
            ["git", "-C", str(folder), *question],  # noqa: S607 - the user's own git
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None
