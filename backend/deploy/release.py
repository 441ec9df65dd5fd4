"""Makes what a release is: wheel, sdist, an SBOM of both, and their digests: ``python backend/deploy/release.py DIR``.

The same commit gives the same bytes: every time in them is that of the commit. It is run from a checkout, with the
packages of requirements-dev.lock and the front-end packages; it imports nothing of Carillon.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_TOOLS = _ROOT / ".cache" / "release-tools"
# The packages of npm from which files are in the wheel.
_FRONT_END = _ROOT / "static" / "package-lock.json"
_SUMS = "SHA256SUMS"


def make(folder: Path) -> list[Path]:
    """Make all files of the release in an empty folder, and return them; the digests come last."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stamp = os.environ.get("SOURCE_DATE_EPOCH") or _said(["git", "log", "-1", "--format=%ct"]).strip()
    _said([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], SOURCE_DATE_EPOCH=stamp)
    (wheel,) = folder.glob("*.whl")
    bom = folder / f"{'-'.join(wheel.name.split('-')[:2])}.cdx.json"
    bom.write_text(json.dumps(_bill(stamp), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    made = sorted(folder.iterdir())
    sums = folder / _SUMS
    sums.write_text("".join(f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.name}\n" for one in made))
    return [*made, sums]


def tool(name: str) -> str:
    """Return the path of a program of requirements-release.lock."""
    path = _TOOLS / "bin" / name
    if not path.exists():
        sys.exit(f"{name} is not in {_TOOLS}: `make {_TOOLS.relative_to(_ROOT)}/.installed` brings it.")
    return str(path)


def _bill(stamp: str) -> dict[str, Any]:
    """Return the SBOM: what the lock file names, and what of npm is in the wheel."""
    command = [tool("cyclonedx-py"), "requirements", "--pyproject", "pyproject.toml"]
    options = ["--mc-type", "application", "--output-reproducible", "--of", "JSON", "-o", "-", "requirements.lock"]
    bill: dict[str, Any] = json.loads(_said([*command, *options], SOURCE_DATE_EPOCH=stamp))
    packages = json.loads(_FRONT_END.read_text(encoding="utf-8"))["packages"]
    bill["components"] += [_component(path, package) for path, package in packages.items() if path]
    return bill


def _component(path: str, package: dict[str, Any]) -> dict[str, Any]:
    name = path.rpartition("node_modules/")[2]
    purl = f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"
    digest = base64.b64decode(package["integrity"].removeprefix("sha512-")).hex()
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": package["version"],
        "purl": purl,
        "hashes": [{"alg": "SHA-512", "content": digest}],
        "licenses": [{"expression": package["license"]}] if "license" in package else [],
    }


def _said(command: Sequence[str], **environment: str) -> str:
    done = subprocess.run(  # noqa: S603 - git, hatchling and cyclonedx-py
        command, cwd=_ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} has failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    for path in make(Path(sys.argv[1]).absolute()):
        sys.stdout.write(f"  {path}\n")
