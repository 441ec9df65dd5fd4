"""Two web processes on one database: together they let exactly the limit through, whoever is asked."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backend.accounts.attempts import TOKEN_CLIENT_ADDRESS
from backend.accounts.clients import NewClient
from backend.db.database import Database
from tests.factories import laboratory, notification
from tests.storms.installation import Installation, free_port, wait_until

LIMIT = 40
REQUESTS = 100
FIELD = re.compile(r'"default";r=(\d+);t=(\d+)')
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
def client(database: Database, monkeypatch: pytest.MonkeyPatch) -> NewClient:
    # A day has one end of a window only, and the processes know one address by which tokens are issued.
    monkeypatch.setenv("CARILLON_RATE_LIMIT", f"{LIMIT}/day")
    monkeypatch.setenv("CARILLON_BASE_URL", "http://carillon.test")
    return laboratory(database).client


@pytest.fixture
def servers(client: NewClient, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Start both processes and give their addresses."""
    ports = free_port(), free_port()
    with Installation(tmp_path, "smtp://127.0.0.1:9") as home:
        for port in ports:
            home.start("serve", "--port", str(port))
        first, second = (f"http://127.0.0.1:{port}" for port in ports)
        wait_until(lambda: answers(first) and answers(second), 60, home.lines)
        yield first, second


def answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_both_together_let_exactly_the_limit_through(client: NewClient, servers: tuple[str, str]) -> None:
    asyncio.run(requests(client, servers))
    # The windows of guesses are short: not over the end of one.
    wait_until(lambda: time.time() % TOKEN_CLIENT_ADDRESS.seconds < TOKEN_CLIENT_ADDRESS.seconds - 20, 30, lambda: "")
    asyncio.run(guesses(client, servers))


async def requests(client: NewClient, servers: tuple[str, str]) -> None:
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        right = (client.client_id, client.client_secret)
        tokens = [(await http.post(f"{server}/oauth/token", data=GRANT, auth=right)).json() for server in servers]
        headers = [{"Authorization": f"Bearer {token['access_token']}"} for token in tokens]
        began = time.time()

        async def ask(number: int) -> httpx.Response:
            address = f"{servers[number % 2]}/notifications/v1"
            own = headers[number // 2 % 2]  # each process knows tokens of the other
            if number % 3:
                return await http.post(address, json=notification("S-1"), headers=own)
            return await http.get(address, headers=own)

        heard = await asyncio.gather(*(ask(number) for number in range(REQUESTS)))
        heard += [await ask(number) for number in range(2)]
        count(heard, began)


async def guesses(client: NewClient, servers: tuple[str, str]) -> None:
    wrong = (client.client_id, "wrong")
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        asked = [http.post(f"{servers[number % 2]}/oauth/token", data=GRANT, auth=wrong) for number in range(REQUESTS)]
        statuses = Counter(one.status_code for one in await asyncio.gather(*asked))
    assert statuses == {401: TOKEN_CLIENT_ADDRESS.limit, 429: REQUESTS - TOKEN_CLIENT_ADDRESS.limit}


def count(heard: list[httpx.Response], began: float) -> None:
    """See that the limit was kept, and that each answer says what is left as it may have been then."""
    passed = [one for one in heard if one.status_code in {200, 202}]
    refused = [one for one in heard if one.status_code == 429]
    assert (len(passed), len(refused)) == (LIMIT, len(heard) - LIMIT), Counter(one.status_code for one in heard)
    assert {one.headers["ratelimit-policy"] for one in heard} == {f'"default";q={LIMIT};w=86400'}
    fields = {one: FIELD.fullmatch(one.headers["ratelimit"]) for one in heard}
    left = {one: int(found[1]) for one, found in fields.items() if found}
    seconds = {one: int(found[2]) for one, found in fields.items() if found}
    assert len(left) == len(heard)
    assert {left[one] for one in refused} == {0}
    assert all(0 <= left[one] < LIMIT for one in passed)
    assert all(abs(value - (86400 - began % 86400)) < 30 for value in seconds.values())
    assert all(one.headers["retry-after"] == str(seconds[one]) for one in refused)
    assert all(one.json()["code"] == "rate_limited" for one in refused)
