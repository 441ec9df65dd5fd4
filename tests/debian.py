"""Brings what tests need from Debian, as Chromium is brought: ``python -m tests.debian`` brings all of it."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

# By the program that is looked for.
PACKAGES = {"pgbouncer": "pgbouncer", "faketime": "faketime"}
_PACKAGE_SECONDS = 600
# Where Debian keeps what is for the machine's own keeper.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/sbin"])


class MissingError(RuntimeError):
    """A program is not here and could not be brought; the text is one sentence."""


@lru_cache
def program(name: str) -> str:
    """Return the path of a program; if it is not here, install its Debian package.

    Raises:
        MissingError: it is not here, and apt could not bring it.
    """
    package = PACKAGES[name]
    with (Path(tempfile.gettempdir()) / "carillon-debian.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # apt serves one at a time, and tests run side by side
        found = shutil.which(name, path=_PATH) or _install(name, package)
    if found is None:
        raise MissingError(f"{name} is not here, and apt could not bring it: install the package {package}.")
    return found


def _install(name: str, package: str) -> str | None:
    if shutil.which("apt-get") is None:
        return None
    print(f"Asking apt for {package} …", file=sys.stderr, flush=True)
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    root += ["env", "DEBIAN_FRONTEND=noninteractive"]
    # An outdated list of one archive must not keep us from the others, so the update may fail.
    for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", package]):
        subprocess.run([*root, "apt-get", *command], stdout=subprocess.DEVNULL, timeout=_PACKAGE_SECONDS, check=False)
    return shutil.which(name, path=_PATH)


def main() -> int:
    """Bring everything."""
    try:
        for name in PACKAGES:
            program(name)
    except MissingError as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
