"""The token endpoint: what clients rely on, and every trap of the library beneath it."""

import base64
import json
import logging
from typing import Any

import pytest
from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient

from backend.accounts import clients
from backend.accounts.clients import NewClient
from backend.accounts.oauth import signing_key
from backend.db.database import Database
from tests.accounts.http_client import BASE_URL, FORM, ask_token, http_client, new_client
from tests.conftest import MovableClock

GRANT = {"grant_type": "client_credentials"}


def part(token: str, index: int) -> dict[str, Any]:
    raw = token.split(".")[index]
    return dict(json.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4))))


def refused(answer: Response, status: int, error: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["error"] == error
    assert set(answer.json()) <= {"error", "error_description"}
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store"
    if status == 401:
        assert answer.headers["www-authenticate"].startswith('Basic realm="Carillon"')


@pytest.fixture
def client(database: Database) -> NewClient:
    return new_client(database)


@pytest.fixture
def http(database: Database) -> TestClient[Litestar]:
    return http_client()


def test_a_token_lives_ten_minutes_and_follows_rfc_9068(
    http: TestClient[Litestar], client: NewClient, moving_clock: MovableClock
) -> None:
    answer = ask_token(http, client, "notifications:send registry:read")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
    assert body["scope"] == "notifications:send registry:read"
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    header, claims = part(body["access_token"], 0), part(body["access_token"], 1)
    assert header == {"typ": "at+jwt", "alg": "EdDSA", "kid": signing_key.current().kid}
    now = int(moving_clock().timestamp())
    assert claims.pop("jti")
    assert claims == {
        "iss": BASE_URL,
        "aud": BASE_URL,
        "sub": client.client_id,
        "client_id": client.client_id,
        "iat": now,
        "exp": now + 600,
        "scope": "notifications:send registry:read",
    }


def test_a_secret_may_be_sent_in_the_form(http: TestClient[Litestar], client: NewClient) -> None:
    form = {**GRANT, "client_id": client.client_id, "client_secret": client.client_secret}
    answer = http.post("/oauth/token", data=form)
    assert answer.status_code == 200
    assert answer.json()["scope"] == " ".join(clients.SCOPES)


@pytest.mark.parametrize("scope", ["notifications:send admin", "registry:write", "é", '"\\'])
def test_a_scope_beyond_the_clients_is_refused(http: TestClient[Litestar], database: Database, scope: str) -> None:
    client = new_client(database, scopes=["notifications:send"])
    refused(ask_token(http, client, scope), 400, "invalid_scope")


@pytest.mark.parametrize(
    "credentials",
    [b"\xff\xfe:secret", b"id:\xe9", b"no colon", b"%ff:x", b"id:%e9", b":", b"", b"a\x00b:c"],
)
def test_basic_credentials_of_any_bytes_are_refused_without_a_fault(
    http: TestClient[Litestar], credentials: bytes
) -> None:
    header = {"Authorization": "Basic " + base64.b64encode(credentials).decode()}
    refused(http.post("/oauth/token", data=GRANT, headers=header), 401, "invalid_client")


@pytest.mark.parametrize("header", ["Basic", "Basic é", "Basic ###", "Basic YQ", "Bearer abc", "Digest x=y", ""])
def test_an_authorization_header_of_any_text_is_refused_without_a_fault(
    http: TestClient[Litestar], header: str
) -> None:
    headers = {"Authorization": header.encode("utf-8")}
    refused(http.post("/oauth/token", data=GRANT, headers=headers), 401, "invalid_client")


def test_unknown_client_and_wrong_secret_cannot_be_told_apart(http: TestClient[Litestar], client: NewClient) -> None:
    pairs = [("nobody", "x"), (client.client_id, "x"), (client.client_id, ""), ("", ""), ("a\x00", "x"), ("é", "é")]
    basic = [http.post("/oauth/token", data=GRANT, auth=pair) for pair in pairs]
    posted = [
        http.post("/oauth/token", data={**GRANT, "client_id": name, "client_secret": secret}) for name, secret in pairs
    ]
    answers = [*basic, *posted, http.post("/oauth/token", data=GRANT)]
    for answer in answers:
        refused(answer, 401, "invalid_client")
    assert len({answer.text for answer in answers}) == 1
    assert len({str(sorted(answer.headers.items())) for answer in answers}) == 1


def test_two_ways_to_authenticate_at_once_are_refused(http: TestClient[Litestar], client: NewClient) -> None:
    auth = (client.client_id, client.client_secret)
    both = {**GRANT, "client_id": client.client_id, "client_secret": client.client_secret}
    refused(http.post("/oauth/token", data=both, auth=auth), 400, "invalid_request")
    refused(http.post("/oauth/token", data={**both, "client_assertion": "x"}), 400, "invalid_request")
    refused(http.post("/oauth/token", data={**GRANT, "client_id": "other"}, auth=auth), 400, "invalid_request")
    agreeing = http.post("/oauth/token", data={**GRANT, "client_id": client.client_id}, auth=auth)
    assert agreeing.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        "grant_type=client_credentials&grant_type=client_credentials",
        "grant_type=client_credentials&scope=registry:read&scope=registry:read",
        "grant_type=client_credentials&scope=&scope=registry:read",
        "scope=registry:read",
        "grant_type=",
        "",
        "grant_type=client_credentials&scope=%ff",
        "&".join(f"p{number}=1" for number in range(100)),
    ],
)
def test_a_form_that_cannot_be_read_is_an_invalid_request(
    http: TestClient[Litestar], client: NewClient, body: str
) -> None:
    auth = (client.client_id, client.client_secret)
    refused(http.post("/oauth/token", content=body, headers=FORM, auth=auth), 400, "invalid_request")


def test_bytes_that_are_no_text_are_an_invalid_request(http: TestClient[Litestar]) -> None:
    refused(http.post("/oauth/token", content=b"grant_type=\xff\xfe", headers=FORM), 400, "invalid_request")


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
def test_another_content_type_is_an_invalid_request(http: TestClient[Litestar], content_type: str) -> None:
    headers = {"Content-Type": content_type}
    answer = http.post("/oauth/token", content="grant_type=client_credentials", headers=headers)
    refused(answer, 400, "invalid_request")


def test_a_charset_beside_the_content_type_is_fine(http: TestClient[Litestar], client: NewClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
    auth = (client.client_id, client.client_secret)
    answer = http.post("/oauth/token", content="grant_type=client_credentials", headers=headers, auth=auth)
    assert answer.status_code == 200


def test_a_large_body_is_refused_in_the_shape_of_oauth(http: TestClient[Litestar]) -> None:
    refused(http.post("/oauth/token", data={**GRANT, "scope": "x" * 20_000}), 413, "invalid_request")


@pytest.mark.parametrize("grant", ["password", "authorization_code", "refresh_token", "é", '"quoted\\'])
def test_other_grants_are_unsupported(http: TestClient[Litestar], client: NewClient, grant: str) -> None:
    auth = (client.client_id, client.client_secret)
    answer = http.post("/oauth/token", data={"grant_type": grant}, auth=auth)
    refused(answer, 400, "unsupported_grant_type")
    assert '"' not in answer.json().get("error_description", "")


def test_parameters_in_the_address_are_not_read(http: TestClient[Litestar], client: NewClient) -> None:
    query = {**GRANT, "client_id": client.client_id, "client_secret": client.client_secret}
    refused(http.post("/oauth/token", params=query, content="", headers=FORM), 400, "invalid_request")


def test_several_secrets_live_while_one_replaces_the_other(
    http: TestClient[Litestar], client: NewClient, database: Database
) -> None:
    with database.transaction() as session:
        row = clients.by_client_id(session, client.client_id)
        assert row is not None
        old = clients.live_secrets(session, row)[0].id
        new = clients.add_secret(session, row)
    for secret in (client.client_secret, new.client_secret):
        assert http.post("/oauth/token", data=GRANT, auth=(client.client_id, secret)).status_code == 200
    with database.transaction() as session:
        clients.revoke_secret(session, row, old)
    refused(ask_token(http, client), 401, "invalid_client")
    assert http.post("/oauth/token", data=GRANT, auth=(client.client_id, new.client_secret)).status_code == 200


def test_a_revoked_client_gets_no_token(http: TestClient[Litestar], client: NewClient, database: Database) -> None:
    with database.transaction() as session:
        row = clients.by_client_id(session, client.client_id)
        assert row is not None
        clients.revoke_client(session, row)
    refused(ask_token(http, client), 401, "invalid_client")


def test_a_database_that_is_away_is_said_in_the_shape_of_oauth(
    http: TestClient[Litestar], client: NewClient, database: Database
) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE api_clients RENAME TO elsewhere")
    answer = ask_token(http, client)
    refused(answer, 503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "5"


def test_no_log_repeats_a_secret_or_a_token(
    http: TestClient[Litestar], client: NewClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = ask_token(http, client).json()["access_token"]
    http.post("/oauth/token", data=GRANT, auth=(client.client_id, "wrong-secret-text"))
    assert token not in caplog.text
    assert client.client_secret not in caplog.text
    assert "wrong-secret-text" not in caplog.text
    assert client.client_secret not in repr(client)
