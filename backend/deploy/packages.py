"""Installs what lock files name, into the environment whose Python runs this: ``python packages.py LOCK…``.

uv does in seconds what takes pip a minute, so pip brings uv first; where uv does not get on, pip does the rest. Both
compare each file with the digest in the lock. It is run before anything else is installed, and imports nothing.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_UV = Path(__file__).with_name("requirements-uv.lock")
_PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
_DOT_SECONDS = 3
# Where pip is told to look, for uv: by what `pip config list` calls it.
_VARIABLES = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}


def install(locks: Sequence[str]) -> int:
    """Install all of them, saying every few seconds that it goes on; return the exit status."""
    wanted = [word for lock in locks for word in ("-r", lock)]
    by_pip = (*_PIP, "install", "--require-hashes")
    if not _run((*by_pip, "-r", str(_UV)), os.environ)[0]:
        uv = (sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable, "--require-hashes")
        if not _run((*uv, *wanted), {**_indexes(), **os.environ})[0]:
            return 0
    _say("  uv does not serve here: pip does it, which takes a minute or two\n")
    status, said = _run((*by_pip, *wanted), os.environ)
    if status:
        _say(said)
    return status


def _run(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command to its end with a dot every few seconds; return its status, and what it said."""
    with subprocess.Popen(  # noqa: S603 - pip or uv, with what the Makefile names
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        dots = 0
        while True:
            try:
                said, _ = running.communicate(timeout=_DOT_SECONDS)
            except subprocess.TimeoutExpired:
                _say("." if dots else "  .")
                dots += 1
            else:
                _say("\n" if dots else "")
                return running.returncode, said


def _indexes() -> dict[str, str]:
    """Return for uv the mirrors that pip is set to use, and the machine's own certificates."""
    found = {"UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true"}
    listed = subprocess.run([*_PIP, "config", "list"], capture_output=True, text=True, check=False)  # noqa: S603 - pip
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        variable = _VARIABLES.get(name.rpartition(".")[2])
        if variable:
            addresses = [one for one in str(ast.literal_eval(value)).split() if not one.startswith("file:")]
            if addresses:
                found[variable] = " ".join(addresses)
    return found


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(install(sys.argv[1:]))
