"""The served document passes two linters whole, and clients made of it send, preview and read."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.interop.site import Site
from tests.openapi import programs
from tests.openapi.programs import HERE, complaints, run, script

pytestmark = pytest.mark.timeout(400)  # generators begin slowly on a busy machine

SAMPLE = "S-1043"


def test_redocly_has_nothing_to_say(document: Path) -> None:
    lint = [*script("@redocly/cli", "bin/cli.js"), "lint", document, "--config", HERE / "redocly.yaml"]
    found, _ = json.JSONDecoder().raw_decode(run([*lint, "--format", "json"], document.parent))
    assert found["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}


def test_spectral_has_nothing_to_say(document: Path) -> None:
    lint = [*script("@stoplight/spectral-cli", "dist/index.js"), "lint", document, "--ruleset", HERE / "spectral.yaml"]
    found = run([*lint, "--format", "json", "--fail-severity", "hint", "--quiet"], document.parent)
    assert json.loads(found) == []


def journey(command: list[str | Path], folder: Path, of: Site, **environment: str) -> None:
    """Run a client system, and see that it did all that it set out to do."""
    client_id, client_secret = of.client
    asked = {
        "CARILLON_URL": f"http://127.0.0.1:{of.port}",
        "CLIENT_ID": client_id,
        "CLIENT_SECRET": client_secret,
        "SAMPLE": SAMPLE,
    }
    told = json.loads(run(command, folder, {**asked, **environment}))
    assert SAMPLE in told["previewed"]
    assert told["read"] == told["sent"]
    assert told["status"] in {"DISPATCHED", "SENT", "DELIVERED"}
    assert told["channels"] == ["EMAIL"]
    assert told["refused"] == "unknown_recipient"


def test_a_client_of_openapi_python_client(document: Path, installation: Site, tmp_path: Path) -> None:
    made = ["openapi-python-client", "generate", "--path", document, "--meta", "none", "--fail-on-warning"]
    written = run([*made, "--output-path", tmp_path / "carillon_client"], tmp_path)
    assert complaints(written) == []
    program = shutil.copy(HERE / "clients" / "python_client.py", tmp_path)
    journey([sys.executable, program], tmp_path, installation)


def test_clients_of_openapi_typescript_and_hey_api(document: Path, installation: Site, tmp_path: Path) -> None:
    types = run(
        [*script("openapi-typescript", "bin/cli.js"), document, "--output", "openapi_typescript/schema.ts"], tmp_path
    )
    client = run(
        [*script("@hey-api/openapi-ts", "bin/run.js"), "--input", document, "--output", "hey_api", "--no-log-file"],
        tmp_path,
    )
    assert complaints(types + client) == []
    for file in (HERE / "clients").iterdir():
        if file.suffix in {".ts", ".json"}:
            shutil.copy(file, tmp_path)
    (tmp_path / "node_modules").symlink_to(programs.PACKAGES)
    assert run([*script("typescript", "bin/tsc"), "--project", tmp_path], tmp_path) == ""
    for name in ("openapi_fetch", "hey_api"):
        journey([*programs.node(), tmp_path / "compiled" / f"{name}.js"], tmp_path, installation)
