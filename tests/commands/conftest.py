"""A fresh installation in a folder of its own, and the ``carillon`` command as a process."""

import os
import subprocess
from pathlib import Path

import pytest

from tests import processes
from tests.storms.installation import free_port

STARTING_SECONDS = 60  # a process starts in two, on a busy machine much later


class Command:
    """Runs ``carillon`` with the settings of one installation and no others."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.data = folder / "data"
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        plain = {name: value for name, value in os.environ.items() if not name.startswith("CARILLON_")}
        own = {"DATA_DIR": str(self.data), "PORT": str(self.port), "RETRY_BASE_SECONDS": "0.2"} | settings
        self.environment = plain | {f"CARILLON_{name}": value for name, value in own.items()}

    def run(self, *arguments: str, given: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end, with ``given`` on its standard input."""
        environment = self.environment | {f"CARILLON_{name}": value for name, value in settings.items()}
        return processes.run(*arguments, environment=environment, given=given, seconds=STARTING_SECONDS)

    def start(self, name: str) -> processes.Process:
        """Start a command that runs until it is stopped."""
        return processes.Process((name,), self.environment, out=self.data / "processes.log")


@pytest.fixture(scope="module")
def carillon(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Give one installation to all tests of a file."""
    return Command(tmp_path_factory.mktemp("installation"))
