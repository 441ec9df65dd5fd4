"""Setting an installation up from nothing, command by command, in the order in which people do."""

import json
import subprocess
from typing import Any

import pytest

from tests.commands.conftest import Command

pytestmark = pytest.mark.timeout(300)  # processes start slowly on a busy machine

CONTRACT = {
    "POST /notifications/v1",
    "GET /notifications/v1",
    "POST /notifications/v1/explain",
    "GET /notifications/v1/{notification_id:str}",
    "POST /oauth/token",
    "POST /oauth/revoke",
    "POST /oauth/introspect",
    "GET /.well-known/oauth-authorization-server",
    "GET /.well-known/jwks.json",
    "GET /registry/v1/recipients",
    "PUT /registry/v1/recipients/{recipient_id:str}",
    "GET /registry/v1/recipients/{recipient_id:str}",
    "DELETE /registry/v1/recipients/{recipient_id:str}",
    "GET /registry/v1/templates",
    "PUT /registry/v1/templates/{template_id:str}",
    "GET /registry/v1/templates/{template_id:str}",
    "DELETE /registry/v1/templates/{template_id:str}",
    "GET /registry/v1/templates/{template_id:str}/versions",
    "POST /registry/v1/templates/{template_id:str}/preview",
    "GET /",
    "GET /portal",
    "GET /healthz",
    "GET /readyz",
    "GET /docs",
    "GET /docs/errors",
}


@pytest.fixture(scope="module")
def migrated(carillon: Command) -> Command:
    """Migrate twice."""
    first, second = carillon.run("migrate"), carillon.run("migrate")
    assert (first.returncode, first.stderr) == (0, "")
    assert (second.returncode, second.stdout, second.stderr) == (0, first.stdout, "")
    assert first.stdout.startswith("The database is at migration 0")
    return carillon


@pytest.fixture(scope="module")
def service(migrated: Command) -> dict[str, Any]:
    line = ("services", "create", "Laboratory", "--organisation", "Institute", "--live", "--daily-limit", "500")
    return printed(migrated.run(*line))


def printed(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    """Read the one JSON object that a command prints."""
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    row = json.loads(done.stdout)
    assert isinstance(row, dict)
    return row


def test_each_set_up_command_prints_one_object(migrated: Command, service: dict[str, Any]) -> None:
    assert service.pop("id")
    assert service == {"name": "Laboratory", "organisation": "Institute", "live": True, "daily_limit": 500}
    person = ("users", "create", "ada@lab.example", "--password-stdin", "--platform-admin")
    membership = ("--service", "Laboratory", "--role", "admin", "--mobile", "+447700900123")
    user = printed(migrated.run(*person, *membership, given="a long password\n"))
    assert (user["email"], user["platform_admin"], user["role"]) == ("ada@lab.example", True, "admin")
    client = printed(migrated.run("clients", "create", "--service", "Laboratory", "--scope", "notifications:send"))
    assert client["scopes"] == ["notifications:send"]
    assert client["client_id"]
    assert client["client_secret"]
    token = printed(migrated.run("tokens", "create", "--service", "Laboratory", "--type", "client"))
    assert token["token"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("services create Laboratory", "Laboratory already"),
        ("users create ada --password-stdin", "EMAIL"),
        ("clients create --service Nobody", "no service named Nobody"),
        ("tokens create --service Laboratory --type other", "'other' is not one of 'client', 'admin'"),
    ],
)
def test_bad_input_is_answered_by_one_sentence(
    migrated: Command, service: dict[str, Any], line: str, sentence: str
) -> None:
    done = migrated.run(*line.split(), given="a long password\n")
    assert done.returncode in {1, 2}
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    faults = [text for text in done.stderr.splitlines() if text.startswith("Error: ")]
    assert len(faults) == 1
    assert sentence in faults[0]


def test_doctor_tells_what_is_well_and_what_is_not(migrated: Command) -> None:
    well = migrated.run("doctor")
    assert (well.returncode, well.stderr) == (0, ""), well.stdout
    assert {line.split()[0] for line in well.stdout.splitlines()} == {"ok"}
    assert {"settings", "database", "queue", "providers"} <= {line.split()[1] for line in well.stdout.splitlines()}
    nowhere = "postgresql://who:secret-word@127.0.0.1:1/none"
    ill = migrated.run("doctor", DATABASE_URL=nowhere, EMAIL_PROVIDERS="pigeon://roof")
    assert ill.returncode == 1
    marks = {line.split()[1]: line.split()[0] for line in ill.stdout.splitlines()}
    assert marks["database"] == marks["providers"] == "FAULT"
    assert marks["queue"] == "-"  # beside the database: the same fault
    assert marks["settings"] == "ok"
    assert "CARILLON_EMAIL_PROVIDERS" in ill.stdout
    assert "secret-word" not in ill.stdout + ill.stderr
    assert "Traceback" not in ill.stderr


def test_routes_lists_the_addresses(migrated: Command) -> None:
    done = migrated.run("routes")
    assert (done.returncode, done.stderr) == (0, "")
    pairs = (line.split() for line in done.stdout.splitlines())
    listed = {f"{method} {path}" for methods, path in pairs for method in methods.split(",")}
    assert listed >= CONTRACT, CONTRACT - listed
