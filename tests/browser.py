"""Finds Chromium for the browser tests, or brings it: ``python -m tests.browser`` prints where it is."""

import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

# The first is what Playwright itself takes for tests: it draws the same pages with a quarter less work.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ASK_PLAYWRIGHT = (
    "from playwright.sync_api import sync_playwright\n"
    "with sync_playwright() as playwright: print(playwright.chromium.executable_path)"
)
_DOWNLOAD_SECONDS = 600
_PACKAGE_SECONDS = 1200


class NoBrowserError(RuntimeError):
    """No Chromium is here and none could be brought; the text is one sentence."""


@lru_cache(maxsize=1)
def chromium_path() -> str:
    """Return the path of a Chromium that runs: the system's, else Playwright's, else one brought now.

    Raises ``NoBrowserError`` if there is none and neither Playwright nor apt can bring one.
    """
    for find in (_system, _playwright, _from_playwright, _from_apt):
        path = find()
        if path is not None:
            return path
    raise NoBrowserError(
        "Chromium is not here, and neither Playwright nor apt could bring it: install it so that `chromium` "
        "is on the PATH."
    )


def _runs(path: str) -> bool:
    """Say whether the program starts; Ubuntu's chromium-browser can be a stub that only asks for snap."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _system() -> str | None:
    found = (shutil.which(name) for name in _NAMES)
    return next((path for path in found if path is not None and _runs(path)), None)


def _playwright() -> str | None:
    # In a process of its own, because callers may be inside a running Playwright or event loop already.
    asked = subprocess.run([sys.executable, "-c", _ASK_PLAYWRIGHT], capture_output=True, text=True, check=False)
    path = asked.stdout.strip()
    return path if path and Path(path).exists() and _runs(path) else None


def _from_playwright() -> str | None:
    _say("Asking Playwright for Chromium")
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    return _playwright() if _done(command, _DOWNLOAD_SECONDS) else None


def _from_apt() -> str | None:
    if shutil.which("apt-get") is None:
        return None
    _say("Asking apt for Chromium")
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    root += ["env", "DEBIAN_FRONTEND=noninteractive"]
    # An outdated list of one archive must not keep us from the others, so the update may fail.
    _done([*root, "apt-get", "update", "-q"], _PACKAGE_SECONDS)
    install = [*root, "apt-get", "install", "-q", "-y", "--no-install-recommends"]
    return next((_system() for name in _NAMES[:2] if _done([*install, name], _PACKAGE_SECONDS)), None)


def _done(command: list[str], seconds: float) -> bool:
    """Run a command with its output on standard error; say whether it succeeded in time."""
    try:
        return subprocess.run(command, stdout=sys.stderr, timeout=seconds, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _say(text: str) -> None:
    print(f"{text} …", file=sys.stderr, flush=True)


def main() -> int:
    """Bring Chromium and print its path."""
    try:
        print(chromium_path())
    except NoBrowserError as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
