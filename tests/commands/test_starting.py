"""A start does no work that it need not do: a second one loads nothing heavy, compiles nothing and migrates nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import STARTING_SECONDS, Command

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
# What some installations, some requests or some child processes need; together they took a fifth of a start. With
# Alembic among them, a database at the newest migration is left as it is.
_HEAVY = (
    "alembic",
    "apprise",
    "botocore",
    "google.protobuf",
    "holidays",
    "mako",
    "numpy",
    "openpyxl",
    "opentelemetry.exporter",
    "opentelemetry.sdk.trace",
    "plutoprint",
    "pygments",
    "requests",
)
# What the web process alone needs: half of the packages that there are.
_OF_THE_WEB = ("authlib", "backend.api", "backend.portal", "uvicorn.protocols")
# What commands may load, from the lightest to those that ask the database and compile templates. The tables come with
# the framework, which Advanced Alchemy loads where it finds it.
_OF_TABLES = ("advanced_alchemy", "litestar", "sqlalchemy")
_LIGHT = (*_HEAVY, *_OF_THE_WEB, *_OF_TABLES, "css_inline", "huey", "jinja2", "lxml", "redis")
_COMMANDS = {
    "settings": _LIGHT,
    "plan": _LIGHT,
    "clients": tuple(name for name in _LIGHT if name not in _OF_TABLES),
    "receipts": (*_HEAVY, *_OF_THE_WEB, "css_inline", "jinja2"),
    "held": (*_HEAVY, *_OF_THE_WEB),
}
_STARTED = """
import json, sys
from backend.commands import starting
from backend.cli import carillon
carillon.get_command(None, sys.argv[1])
starting.check()
if sys.argv[1] == "serve":
    from backend import app
    app.serve_app()
print(json.dumps(sorted(sys.modules)))
"""
_LOADED = """
import json, sys
from backend.cli import carillon
carillon.get_command(None, sys.argv[1])
print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("process", ["serve", "worker"])
def test_a_second_start_loads_nothing_that_it_does_not_need(
    carillon: Command, migrated_file: Path, process: str
) -> None:
    carillon.data.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(migrated_file, carillon.data / "carillon.db")
    started = subprocess.run(
        [sys.executable, "-c", _STARTED, process],
        cwd=ROOT,
        env=carillon.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=2 * STARTING_SECONDS,
    )
    loaded = set(json.loads(started.stdout.splitlines()[-1]))
    assert "backend.delivery.tasks" in loaded
    assert loaded.intersection(_HEAVY if process == "serve" else (*_HEAVY, *_OF_THE_WEB)) == set()


@pytest.mark.parametrize("name", _COMMANDS)
def test_a_command_loads_nothing_that_it_does_not_need(name: str) -> None:
    started = subprocess.run(
        [sys.executable, "-c", _LOADED, name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=2 * STARTING_SECONDS,
    )
    loaded = set(json.loads(started.stdout))
    assert "backend.lib.settings" in loaded
    assert loaded.intersection(_COMMANDS[name]) == set()


def test_make_keeps_what_python_compiles_whatever_the_shell_says() -> None:
    told = subprocess.run(
        ["make", "--no-print-directory", "--eval", 'told: ; @echo "[$$PYTHONDONTWRITEBYTECODE]"', "told"],
        cwd=ROOT,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "[]\n"
