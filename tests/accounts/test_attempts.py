"""Slower buckets for those who guess an API client's secret, which shut out nobody else."""

import asyncio
from collections.abc import Callable

import pytest
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import func, select

from backend.accounts.attempts import TOKEN_ADDRESS, TOKEN_CLIENT, TOKEN_CLIENT_ADDRESS, Bucket
from backend.db.database import Database
from backend.db.models.accounts import AttemptWindow
from backend.lib.http import network_address
from tests.accounts.http_client import BASE_URL, application, new_client
from tests.conftest import MovableClock

WRONG = "wrong"
HERE, ELSEWHERE = "203.0.113.5", "198.51.100.7"
Ask = Callable[..., Response]


@pytest.fixture
def ask(database: Database, moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask an endpoint with a client's credentials, from a network address; the buckets are as short as tests like."""
    for bucket, limit in ((TOKEN_CLIENT_ADDRESS, 4), (TOKEN_CLIENT, 6), (TOKEN_ADDRESS, 9)):
        monkeypatch.setattr(
            f"backend.accounts.attempts.{bucket.name.replace('-', '_').upper()}", bucket._replace(limit=limit)
        )

    async def send(client_id: str, secret: str, address: str, path: str, form: dict[str, str]) -> Response:
        transport = ASGITransport(application(), client=(address, 1))
        async with AsyncClient(transport=transport, base_url=BASE_URL) as http:
            return await http.post(path, data=form, auth=(client_id, secret))

    def asked(client_id: str, secret: str = WRONG, address: str = HERE, path: str = "token", **form: str) -> Response:
        given = form or {"grant_type": "client_credentials"}
        return asyncio.run(send(client_id, secret, address, f"/oauth/{path}", given))

    return asked


def slowed(answer: Response, seconds: int) -> None:
    assert answer.status_code == 429, answer.text
    assert answer.json() == {
        "error": "temporarily_unavailable",
        "error_description": "There were too many attempts. Wait 5 minutes and try again.",
    }
    assert answer.headers["retry-after"] == str(seconds)
    assert answer.headers["cache-control"] == "no-store"
    assert "www-authenticate" not in answer.headers


def test_who_guesses_a_secret_is_slowed_and_its_owner_elsewhere_is_not(
    ask: Ask, database: Database, moving_clock: MovableClock
) -> None:
    client = new_client(database)
    assert [ask(client.client_id).status_code for _ in range(4)] == [401] * 4
    moving_clock.forward(seconds=20)
    slowed(ask(client.client_id), 280)
    slowed(ask(client.client_id, client.client_secret), 280)  # or the answer would tell the right one among guesses
    for path in ("revoke", "introspect"):  # one count for all the entry points that take the secret
        slowed(ask(client.client_id, path=path, token="x"), 280)
    assert ask(client.client_id, client.client_secret, ELSEWHERE).status_code == 200
    moving_clock.forward(seconds=280)
    assert ask(client.client_id, client.client_secret).status_code == 200


def test_guesses_from_many_addresses_are_slowed_together(ask: Ask, database: Database) -> None:
    client = new_client(database)
    many = [f"203.0.113.{number}" for number in range(1, 9)]
    assert [ask(client.client_id, address=one).status_code for one in many] == [401] * 6 + [429] * 2
    for one in many:  # each has had its guess
        slowed(ask(client.client_id, client.client_secret, one), 300)
    assert ask(client.client_id, client.client_secret, ELSEWHERE).status_code == 200


def test_guesses_at_many_clients_from_one_address_are_slowed_and_its_neighbours_are_not(
    ask: Ask, database: Database
) -> None:
    client, neighbour = new_client(database), new_client(database, "Neighbours")
    names = [*(f"nobody-{number}" for number in range(8)), client.client_id, "nobody-9"]
    assert [ask(name).status_code for name in names] == [401] * 9 + [429]
    slowed(ask(client.client_id, client.client_secret), 300)
    assert ask(neighbour.client_id, neighbour.client_secret).status_code == 200
    assert ask(client.client_id, client.client_secret, ELSEWHERE).status_code == 200


def test_assertions_that_prove_nothing_are_counted_and_slowed(ask: Ask, database: Database) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJub2JvZHkifQ.AAAA",
    }

    async def send() -> int:
        async with AsyncClient(transport=ASGITransport(application(), client=(HERE, 1)), base_url=BASE_URL) as http:
            return (await http.post("/oauth/token", data=form)).status_code

    assert [asyncio.run(send()) for _ in range(5)] == [401] * 4 + [429]


def test_a_token_costs_no_row_and_is_had_as_often_as_it_is_asked_for(ask: Ask, database: Database) -> None:
    client = new_client(database)
    assert {ask(client.client_id, client.client_secret).status_code for _ in range(12)} == {200}
    with database.read() as session:
        assert session.scalar(select(func.count(AttemptWindow.id))) == 0


def test_the_real_buckets_leave_room_for_a_system_with_an_old_secret() -> None:
    pools: tuple[Bucket, ...] = (TOKEN_CLIENT_ADDRESS, TOKEN_CLIENT, TOKEN_ADDRESS)
    assert [bucket.limit / bucket.seconds * 60 for bucket in pools] == [12, 24, 120]


def test_an_ipv6_subscriber_is_one_address() -> None:
    assert network_address("2001:db8:1:2:3::4") == network_address("2001:db8:1:2::ffff") == "2001:db8:1:2::/64"
    assert network_address("2001:db8:1:3::1") != network_address("2001:db8:1:2::1")
    assert network_address("::ffff:203.0.113.5") == network_address("203.0.113.5") == "203.0.113.5"
    assert (network_address("testclient"), network_address(None)) == ("testclient", "unknown")
