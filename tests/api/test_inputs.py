"""What no row can have and no text can hold is refused before any handler, whoever asks and however they sign in."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from backend.db.database import Database
from tests.api.conftest import Site
from tests.application import application
from tests.security.fuzz import Asked, ask

HOST = (b"host", b"carillon.example:8000")


def answer(target: bytes, headers: Sequence[tuple[bytes, bytes]], version: str = "1.1") -> tuple[int, dict[str, Any]]:
    asked = Asked("nobody", "GET", target, headers, b"", version)
    status, fields, body = asyncio.run(ask(application(), asked))
    return status, json.loads(body) if "json" in fields.get("content-type", "") else {}


@pytest.mark.parametrize("path", [b"/healthz", b"/portal/sign-in", b"/service", b"/nothing"])
@pytest.mark.parametrize(
    "hosts",
    [
        (),
        (HOST, HOST),
        (HOST, (b"host", b"evil.example")),
        ((b"host", b""),),
        ((b"host", b"a b"),),
        ((b"host", b"[::1"),),
        ((b"host", b"a:99999999"),),
        ((b"host", b"a:70000"),),
        ((b"host", b"\xff"),),
        ((b"host", b"user@a"),),
    ],
)
def test_a_request_for_no_host_or_for_several_is_refused(
    database: Database, path: bytes, hosts: tuple[tuple[bytes, bytes], ...]
) -> None:
    status, problem = answer(path, hosts)
    assert (status, problem["code"]) == (400, "invalid_request")
    assert problem["detail"].startswith("The header Host ")


@pytest.mark.parametrize("host", [b"a", b"a_b.example", b"127.0.0.1:80", b"[::1]:65535", b"xn--bcher-kva.example:"])
def test_a_host_that_is_one_is_answered(database: Database, host: bytes) -> None:
    assert answer(b"/healthz", ((b"host", host),))[0] == 200
    assert answer(b"/healthz", (), "1.0")[0] == 200


def test_the_short_way_asks_for_a_host_too(site: Site) -> None:
    token = site.http.headers["authorization"].encode()
    headers = [(b"authorization", token), (b"content-type", b"application/json"), (b"content-length", b"2")]
    for path in (b"/notifications/v1", b"/notifications/v1/bulk"):
        asked = Asked("client", "POST", path, headers, b"{}")
        assert asyncio.run(ask(application(), asked))[0] == 400


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/portal/services/9223372036854775808", 404),
        (b"/portal/services/0/jobs", 404),
        (b"/service/-1/users", 404),
        (b"/users/9999999999999999999999", 404),
        (b"/portal/sign-in?next=%00", 400),
        (b"/notifications/v1?recipient=%00", 400),
        (b"/registry/v1/templates/A%00", 400),
        (b"/users?%00=1", 401),
        (b"/portal/outbox?key=1.%00", 400),
    ],
)
def test_numbers_of_no_row_are_nowhere_and_texts_that_cannot_be_kept_are_refused(
    database: Database, target: bytes, status: int
) -> None:
    assert answer(target, [HOST])[0] == status
