"""A release is the same bytes whoever makes it, and says what is in it."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make one twice, as two people would: with another time zone, language and umask."""
    made = []
    for umask, zone, language in ((0o022, "UTC", "C.UTF-8"), (0o077, "Asia/Tokyo", "C")):
        folder = tmp_path_factory.mktemp("release") / "made"
        own = {"SOURCE_DATE_EPOCH": "1798761600", "TZ": zone, "LC_ALL": language}
        command = [sys.executable, str(ROOT / "backend" / "deploy" / "release.py"), str(folder)]
        done = subprocess.run(
            command, env=os.environ | own, umask=umask, capture_output=True, text=True, check=False, timeout=150
        )
        assert done.returncode == 0, done.stdout + done.stderr
        made.append(folder)
    return made[0], made[1]


def test_it_is_the_same_bytes(releases: tuple[Path, Path]) -> None:
    one, other = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in releases)
    assert one == other
    assert "SHA256SUMS" in one


def test_the_digests_are_those_of_the_files(releases: tuple[Path, Path]) -> None:
    folder = releases[0]
    rows = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    del files["SHA256SUMS"]
    assert rows == files
    assert sorted(Path(name).suffix for name in files) == [".gz", ".json", ".whl"]


def test_the_bill_lists_every_package(releases: tuple[Path, Path]) -> None:
    (bom,) = releases[0].glob("*.cdx.json")
    bill = json.loads(bom.read_text())
    named = {(one["name"], one["version"]) for one in bill["components"]}
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    locked = {tuple(line.split()[0].split("==")) for line in lines if "==" in line and not line.startswith(" ")}
    npm = json.loads((ROOT / "static" / "package-lock.json").read_text())["packages"]
    served = {(path.rpartition("node_modules/")[2], one["version"]) for path, one in npm.items() if path}
    assert served
    assert named >= locked | served
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "carillon")
    assert all(one.get("hashes") or one.get("externalReferences") for one in bill["components"])
