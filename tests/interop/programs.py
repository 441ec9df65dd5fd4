"""Finds the programs that the tests of other people's software need; ``python -m tests.interop.programs`` brings them.

They are Debian's packages; where apt is not there, the sentence says what to install.
"""

import os
import shutil
import subprocess
import sys

# Program: its package, and what else it needs to be of use.
PACKAGES = {
    "nginx": ("nginx-light",),
    "haproxy": ("haproxy",),
    "caddy": ("caddy",),
    "systemd-analyze": ("systemd",),
    "curl": ("curl",),
    "wget": ("wget",),
    "java": ("default-jdk-headless",),
    "ruby": ("ruby",),
    "lwp-request": ("libwww-perl",),
    "dovecot": ("dovecot-imapd",),
    "php": ("php-cli", "php-curl"),
    "Rscript": ("r-base-core", "r-cran-httr2", "r-cran-jsonlite"),
    "zsh": ("zsh",),
    "promtool": ("prometheus",),
}
_PACKAGE_SECONDS = 1200


class NoProgramError(RuntimeError):
    """A program is not here and could not be brought; the text is one sentence."""


def path(program: str) -> str:
    """Return where a program is.

    Raises:
        NoProgramError: when it is not here; ``bring`` brings it.
    """
    # Servers are where only an administrator looks for them.
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise NoProgramError(f"{program} is not here: `make test` brings it by apt, or install {PACKAGES[program][0]}.")
    return found


def bring() -> None:
    """Bring what is missing, without a word while all goes well, and without starting any server of it."""
    missing = [package for program, packages in PACKAGES.items() if not _is_here(program) for package in packages]
    if not missing or shutil.which("apt-get") is None:
        return
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    # Packages of servers start them, except while the machine says that it is in its lowest run level.
    root += ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]
    for command in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run(
            [*root, "apt-get", "-q", *command], capture_output=True, text=True, timeout=_PACKAGE_SECONDS, check=False
        )
        if done.returncode:
            print(done.stdout + done.stderr, file=sys.stderr)


def _is_here(program: str) -> bool:
    try:
        path(program)
    except NoProgramError:
        return False
    return True


def main() -> int:
    """Bring them, and say which could not be brought."""
    bring()
    missing = [program for program in PACKAGES if not _is_here(program)]
    if missing:
        print(f"Not here, and not brought by apt: {', '.join(missing)}.", file=sys.stderr)
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())
