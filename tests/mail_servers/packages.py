"""Mail servers of Debian's packages, unpacked side by side: ``python -m tests.mail_servers.packages`` brings them.

The packages exclude one another, for each is the machine's mail server. So none is installed: each is unpacked, with
what it needs, to a folder of its own in the user's cache, which becomes the root of its processes (``jail``). What of
the libraries is here already is copied into it. Nothing of this is in the project's tree.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

# By the server's name: its package.
PACKAGES = {"postfix": "postfix", "exim": "exim4-daemon-light", "opensmtpd": "opensmtpd"}
# What the command needs that hands bounces over, as ``carillon receipts address`` prints it.
_PROGRAMS = ("sh", "cat", "head", "curl")
_PACKAGE_SECONDS = 600
_IN_PACKAGES = re.compile(r"^Inst (\S+)", re.MULTILINE)
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
_ELF = b"\x7fELF"
# The users that the packages would make, and one for mailboxes.
USERS = {
    "root": 0,
    "mail": 8,
    "postfix": 59001,
    "postdrop": 59002,
    "opensmtpd": 59003,
    "opensmtpq": 59004,
    "Debian-exim": 59005,
    "bounces": 59006,
    "nobody": 65534,
}
_DEVICES = {"null": 3, "zero": 5, "random": 8, "urandom": 9}


class MissingError(RuntimeError):
    """A server is not here and cannot be brought; the text is one sentence."""


def cache() -> Path:
    """Return the folder of all of them."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "carillon" / "mail-servers"


@lru_cache
def root(name: str) -> Path:
    """Return the folder of a server's files, which is made if it is not there.

    Raises:
        MissingError: when it cannot be.
    """
    if os.geteuid() != 0:
        raise MissingError("Mail servers are started by root alone, for they change their root and their user.")
    ready = cache() / name
    ready.parent.mkdir(parents=True, exist_ok=True)
    with (ready.parent / "lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not ready.exists():
            with tempfile.TemporaryDirectory(dir=ready.parent, prefix=f"{name}-") as folder:
                made = Path(folder) / "root"
                _unpack(PACKAGES[name], Path(folder), made)
                _furnish(made)
                made.rename(ready)
    return ready


def _unpack(package: str, folder: Path, made: Path) -> None:
    """Download a package, and what of its needs is not installed here, and unpack all."""
    if shutil.which("apt-get") is None:
        raise MissingError(f"There is no apt here that could bring the package {package}.")
    for attempt in range(2):
        planned = _apt(folder, "install", "--simulate", "--no-install-recommends", package)
        wanted = {package, *_IN_PACKAGES.findall(planned.stdout)}
        done = _apt(folder, "download", *sorted(wanted))
        if done.returncode == 0:
            break
        if attempt:
            raise MissingError(f"apt could not bring the package {package}: {done.stderr.strip()[-300:]}")
        _apt(folder, "update")
    for file in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(file), str(made)], check=True, timeout=_PACKAGE_SECONDS)


def _apt(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        ["apt-get", "-q", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_PACKAGE_SECONDS,
        check=False,
    )


def _furnish(made: Path) -> None:
    """Put everything in place that a root needs: programs, libraries, users, devices."""
    for name in ("bin", "lib64", "tmp", "dev", "etc", "run", "var/log", "usr/bin"):
        (made / name).mkdir(parents=True, exist_ok=True)
    (made / "tmp").chmod(0o1777)
    for name in _PROGRAMS:
        found = shutil.which(name)
        if found is None:
            raise MissingError(f"{name} is not here, which hands bounces over.")
        shutil.copy2(found, made / "bin" / name)
    for library in _libraries(made):
        target = made / library.relative_to("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(library, target)
    people = USERS.items()
    (made / "etc/passwd").write_text("".join(f"{name}:x:{uid}:{uid}::/:/bin/sh\n" for name, uid in people))
    (made / "etc/group").write_text("".join(f"{name}:x:{uid}:\n" for name, uid in people))
    (made / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (made / "etc/services").write_text("smtp 25/tcp\n")
    for name, minor in _DEVICES.items():
        os.mknod(made / "dev" / name, 0o020666, os.makedev(1, minor))
        (made / "dev" / name).chmod(0o666)


def _libraries(made: Path) -> set[Path]:
    """Return the libraries of this machine that the programs of a root want."""
    own = {str(file.parent) for file in made.rglob("*.so*")}
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(sorted(own))}
    found: set[Path] = set()
    for program in _programs(made.rglob("*")):
        told = subprocess.run(
            ["ldd", str(program)], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        found |= {Path(line) for line in _LIBRARY.findall(told.stdout)}
    return {one for one in found if not one.is_relative_to(made)}


def _programs(files: Iterable[Path]) -> Iterator[Path]:
    for file in files:
        if file.is_file() and not file.is_symlink():
            with file.open("rb") as opened:
                if opened.read(4) == _ELF:
                    yield file


def main() -> int:
    """Bring them, and say which could not be brought."""
    missing = 0
    for name in PACKAGES:
        try:
            root(name)
        except MissingError as fault:
            print(fault, file=sys.stderr)
            missing += 1
    return int(missing > 0 and os.geteuid() == 0)


if __name__ == "__main__":
    sys.exit(main())
