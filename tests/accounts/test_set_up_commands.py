"""The set-up commands: one JSON object on standard output, one sentence for what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from joserfc.jwk import ECKey
from sqlalchemy import select

from backend.accounts import service_tokens, users
from backend.accounts.clients import SCOPES
from backend.commands import accounts
from backend.db.database import Database
from backend.db.models.accounts import ClientSecret
from backend.lib import settings
from tests.accounts.http_client import http_client

GROUPS = {group.name: group for group in (accounts.services, accounts.users, accounts.clients, accounts.tokens)}


def run(line: str, given: str | None = None) -> Result:
    group, *arguments = line.split()
    return CliRunner().invoke(GROUPS[group], arguments, input=given)


def printed(line: str, given: str | None = None) -> dict[str, Any]:
    result = run(line, given)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    return dict(json.loads(result.stdout))


def refused(line: str, given: str | None = None, status: int = 1) -> str:
    result = run(line, given)
    assert (result.exit_code, result.stdout) == (status, "")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_a_service_is_created(database: Database) -> None:
    whole = printed("services create Laboratory --organisation Institute --live --daily-limit 20")
    assert whole.pop("id")
    assert whole == {"name": "Laboratory", "organisation": "Institute", "live": True, "daily_limit": 20}
    assert printed("services create Plain")["live"] is False
    assert "already" in refused("services create Laboratory")


def test_a_user_is_created(database: Database) -> None:
    printed("services create Laboratory")
    line = "users create Ada@lab.example --password-stdin --platform-admin --service Laboratory --role editor"
    row = printed(f"{line} --mobile +447700900123", "a long password\nmore\n")
    assert row.pop("id")
    assert row == {
        "email": "ada@lab.example",
        "platform_admin": True,
        "service": "Laboratory",
        "role": "editor",
        "mobile": "+447700900123",
    }
    assert users.sign_in(database, "ada@lab.example", "a long password") is not None
    assert "already" in refused("users create ada@lab.example --password-stdin", "a long password\n")


def test_what_a_user_cannot_be_is_said(database: Database) -> None:
    assert "10 characters" in refused("users create a@lab.example --password-stdin", "short\n")
    assert "10 characters" in refused("users create a@lab.example --password-stdin", "")
    assert "--password-stdin" in refused("users create a@lab.example")
    assert "EMAIL" in refused("users create nobody --password-stdin", "a long password\n")
    assert "together" in refused("users create a@lab.example --password-stdin --role admin", "a long password\n")
    line = "users create a@lab.example --password-stdin --service None --role admin"
    assert "no service named None" in refused(line, "a long password\n")


def test_a_client_is_created_and_gets_a_token(database: Database) -> None:
    printed("services create Laboratory")
    row = printed("clients create --service Laboratory")
    assert row["scopes"] == list(SCOPES)
    assert row["service"] == "Laboratory"
    form = {"grant_type": "client_credentials", "client_id": row["client_id"], "client_secret": row["client_secret"]}
    assert http_client().post("/oauth/token", data=form).status_code == 200
    narrow = "clients create --service Laboratory --name lims --scope registry:read --scope notifications:send"
    assert printed(narrow)["scopes"] == ["notifications:send", "registry:read"]
    assert printed(narrow)["name"] == "lims"
    assert "notifications:send" in refused("clients create --service Laboratory --scope everything")
    assert "no service" in refused("clients create --service None")


def test_a_client_that_brings_its_public_keys_has_no_secret(database: Database, tmp_path: Path) -> None:
    printed("services create Laboratory")
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}))
    made = printed(f"clients create --service Laboratory --jwks {file}")
    assert made["client_id"]
    assert "client_secret" not in made
    with database.read() as session:
        assert session.scalars(select(ClientSecret)).all() == []
    file.write_text("no json")
    assert "JSON" in refused(f"clients create --service Laboratory --jwks {file}")


def test_a_token_is_created(database: Database) -> None:
    printed("services create Laboratory")
    row = printed("tokens create --service Laboratory --type admin")
    assert (row["type"], row["service"]) == ("admin", "Laboratory")
    with database.read() as session:
        found = service_tokens.find(session, row["token"])
        assert found is not None
        assert found.type == "admin"


def test_an_empty_database_is_to_be_migrated(configure: Callable[..., settings.Settings]) -> None:
    configure()
    assert "carillon migrate" in refused("services create Laboratory", status=69)


@pytest.mark.parametrize("line", ["tokens create --service X --type other", "clients create", "services create"])
def test_wrong_options_are_a_usage_error(database: Database, line: str) -> None:
    assert run(line).exit_code == 2
