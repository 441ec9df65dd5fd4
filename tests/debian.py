"""Brings what tests need from Debian: a program that is not here is installed, as Chromium is."""

import os
import shutil
import subprocess
import sys
from functools import lru_cache

_PACKAGE_SECONDS = 600
# Where Debian keeps what is for the machine's own keeper.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/sbin"])


class MissingError(RuntimeError):
    """A program is not here and could not be brought; the text is one sentence."""


@lru_cache
def program(name: str, package: str) -> str:
    """Return the path of a program; if it is not here, install its Debian package.

    Raises:
        MissingError: it is not here, and apt could not bring it.
    """
    found = shutil.which(name, path=_PATH)
    if found is None and shutil.which("apt-get") is not None:
        print(f"Asking apt for {package}", file=sys.stderr)
        root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        root += ["env", "DEBIAN_FRONTEND=noninteractive"]
        # An outdated list of one archive must not keep us from the others, so the update may fail.
        for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", package]):
            subprocess.run(
                [*root, "apt-get", *command], stdout=subprocess.DEVNULL, timeout=_PACKAGE_SECONDS, check=False
            )
        found = shutil.which(name, path=_PATH)
    if found is None:
        raise MissingError(f"{name} is not here, and apt could not bring it: install the package {package}.")
    return found
