"""The wheel is whole: built, installed into an empty place, and served from there, away from the checkout."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import httpx2
import pytest

from tests.storms.installation import free_port, wait_until

ROOT = Path(__file__).parents[2]


def run(*command: object, folder: Path, **environment: str) -> str:
    """Run a command to its end and return what it prints."""
    done = subprocess.run(
        [str(one) for one in command],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and unpack it into a folder of its own, beside which the packages that it needs are found."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT, folder=folder)
    (wheel,) = folder.glob("carillon-*.whl")
    run(*pip, "install", "--no-deps", "--no-index", "--target", folder / "installed", wheel, folder=folder)
    return folder


def test_it_serves_pages_styles_and_starters(installed: Path) -> None:
    packages = f"{installed / 'installed'}{os.pathsep}{sysconfig.get_paths()['purelib']}"
    code = "import sys; from backend.cli import main; sys.argv[0] = 'carillon'; main()"
    carillon = (sys.executable, "-S", "-c", code)
    found = run(
        sys.executable, "-S", "-c", "import backend; print(backend.__file__)", folder=installed, PYTHONPATH=packages
    )
    assert str(installed) in found
    said = run(*carillon, "init", installed / "home", folder=installed, PYTHONPATH=packages)
    assert "carillon migrate" in said
    written = (installed / "home" / "carillon.env").read_text()
    assert (installed / "home" / "carillon.env").stat().st_mode & 0o777 == 0o600
    given = dict(line.split("=", 1) for line in written.splitlines() if line.startswith("CARILLON_"))
    port = free_port()
    own = given | {
        "PYTHONPATH": packages,
        "CARILLON_BASE_URL": f"http://127.0.0.1:{port}",
        "CARILLON_PORT": str(port),
        "CARILLON_MAIL_FROM": "noreply@example.org",
    }
    run(*carillon, "migrate", folder=installed, **own)
    settings = json.loads(run(*carillon, "settings", "--json", folder=installed, **own))
    assert given["CARILLON_SECRET_KEY"] not in json.dumps(settings)
    log = installed / "serve.log"
    with (
        log.open("w") as out,
        subprocess.Popen(
            [*carillon, "serve"], cwd=installed, env=os.environ | own, stdout=out, stderr=subprocess.STDOUT
        ) as serving,
    ):
        try:
            base = own["CARILLON_BASE_URL"]
            wait_until(lambda: _answers(f"{base}/healthz"), 60, log.read_text)
            page = httpx2.get(f"{base}/portal/sign-in", trust_env=False)
            assert page.status_code == 200, page.text
            names = [part.split('"')[0] for part in page.text.split('"/static/')[1:]]
            assert names
            handbook = httpx2.get(f"{base}/docs/guide/architecture", trust_env=False)
            pictures = re.findall(r'<img src="([^"]+)"', handbook.text)
            assert len(pictures) == 3
            addresses = [*(f"/static/{name}" for name in names), *pictures, "/docs/guide/operations/rules.yml"]
            assert {httpx2.get(f"{base}{one}", trust_env=False).status_code for one in addresses} == {200}
        finally:
            serving.terminate()
            serving.wait(30)


def _answers(address: str) -> bool:
    try:
        return httpx2.get(address, timeout=5, trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False
