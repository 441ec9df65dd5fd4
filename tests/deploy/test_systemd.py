"""systemd takes the units without a word and finds them well shut in; what they set is there to be set."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from backend.commands.exits import CONFIGURATION
from backend.lib.settings_catalogue import unknown
from tests.interop import programs

FOLDER = Path(__file__).parents[2] / "backend" / "deploy" / "systemd"
SERVICES = sorted(path.name for path in FOLDER.glob("*.service"))
UNITS = sorted(path.name for path in FOLDER.glob("carillon-*"))
# Tenths; systemd calls everything below 3.0 by a smiling face.
_MOST_EXPOSED = 30


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Give the units in a folder of their own, with a program that is there in the place of ours."""
    for name in UNITS:
        shutil.copy(FOLDER / name, tmp_path)
        path = tmp_path / name
        path.write_text(path.read_text().replace("/opt/carillon/bin/carillon", "/bin/true"))
    return tmp_path


def analyze(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    program = programs.path("systemd-analyze")
    return subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_the_units_are_what_systemd_reads(units: Path) -> None:
    done = analyze(units, "verify", *(f"./{name}" for name in UNITS))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_unit_with_a_fault_would_be_found(units: Path) -> None:
    path = units / "carillon-web.service"
    path.write_text(path.read_text().replace("ProtectSystem=", "ProtectSistem="))
    assert "ProtectSistem" in analyze(units, "verify", "./carillon-web.service").stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_shut_in(units: Path, name: str) -> None:
    done = analyze(units, "security", "--offline=true", f"--threshold={_MOST_EXPOSED}", f"./{name}")
    assert done.returncode == 0, done.stdout
    score = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert score is not None
    assert float(score[1]) < _MOST_EXPOSED / 10


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_sets_is_a_setting(name: str) -> None:
    text = (FOLDER / name).read_text()
    variables = dict.fromkeys(re.findall(r"CARILLON_[A-Z_]+", text), "x")
    assert variables
    assert unknown(variables) == []


@pytest.mark.parametrize("name", ["carillon-web.service", "carillon-worker@.service"])
def test_a_setting_that_cannot_be_used_is_not_tried_again(name: str) -> None:
    assert f"RestartPreventExitStatus={CONFIGURATION}\n" in (FOLDER / name).read_text()
