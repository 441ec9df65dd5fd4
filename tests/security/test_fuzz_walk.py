"""Nothing that is put into an address, a form, a body or a file is answered with a fault of ours, on PostgreSQL."""

import asyncio
import os
import re
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from backend.accounts import sessions, users
from backend.accounts.clients import SCOPES
from backend.accounts.oauth import access_tokens
from backend.db import database as db
from backend.db.database import Database
from backend.lib import settings
from backend.receipts import secret
from tests.application import application
from tests.portal.people_and_messages import PASSWORD
from tests.security.addresses import ALPHA, addresses
from tests.security.fuzz import Asked, Asker, Walk, Walker, ask
from tests.security.two_services import ROLES, Books, Holding, holding

# So many requests are made before the database is as it was: some of them take away what others are about.
_A_ROUND = 1000
_SUITE = 700
_PLAIN = [(b"host", b"testserver.local"), (b"accept", b"text/html")]
_PAGES = ("/portal/services", "/portal/account", "/portal/outbox", "/portal/admin")
_API = ("/notifications/v1", "/registry", "/oauth", "/docs")
_OPEN = ("/portal/password", "/portal/invitation", "/portal/sign-in", "/oauth", "/static", "/docs")


class Copies:
    """The database of the deployment as it was made, and copies of it, each of which the process has for a while."""

    def __init__(self, configure: Callable[..., settings.Settings]) -> None:
        self._address = make_url(settings.current().database_url)
        self._server = self._address.set(drivername="postgresql", database="postgres")
        self._configure = configure
        self._made: list[str] = []

    def take(self) -> None:
        """Give the process another copy."""
        db.current().close()
        name = f"{self._address.database}_{len(self._made)}"
        self._leave()
        self._run("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, str(self._address.database))
        self._made.append(name)
        address = self._address.set(drivername="postgresql", database=name)
        self._configure(DATABASE_URL=address.render_as_string(hide_password=False), RATE_LIMIT="1000000/minute")

    def _leave(self) -> None:
        """End every connection to the original, the queue's too: nothing may use what is being copied."""
        address = self._server.render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as connection:
            own = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(own, [self._address.database])

    def drop(self) -> None:
        db.current().close()
        for name in self._made:
            self._run("DROP DATABASE {} WITH (FORCE)", name)

    def _run(self, statement: str, *names: str) -> None:
        address = self._server.render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # type: ignore[arg-type]


@pytest.fixture
def copies(postgres_database: Database, configure: Callable[..., settings.Settings]) -> Iterator[Copies]:
    """Give what copies the test's database, when it has in it what it should."""
    made = Copies(configure)
    yield made
    made.drop()


async def _token() -> tuple[str, str]:
    """Return the cookie of a browser and the token that its forms carry."""
    _, headers, body = await ask(application(), Asked("", "GET", b"/portal/sign-in", _PLAIN, b""))
    found = re.search(rb'name="_csrf_token" value="(\w+)"', body)
    assert found
    return headers["set-cookie"].partition(";")[0], found[1].decode()


async def askers(ours: Holding, people: dict[str, str]) -> list[Asker]:
    """Return everybody who asks: nobody, members in every role, those who run it all, API clients, the alpha's."""
    cookie, token = await _token()
    found = [Asker(name, {"cookie": f"carillon={value}; {cookie}"}, _PAGES, token) for name, value in people.items()]
    bearers = {
        "client": (access_tokens.issue(ours.client.client_id, " ".join(sorted(SCOPES))), _API),
        "the alpha's client": (ours.tokens["client"], ALPHA),
        "the alpha's admin": (ours.tokens["admin"], ALPHA),
        "mail server": (secret.bounce_token(), ("/receipts",)),
    }
    for name, (value, beginnings) in bearers.items():
        found.append(Asker(name, {"authorization": f"Bearer {value}"}, beginnings))
    return [*found, Asker("nobody", {"cookie": cookie}, _OPEN, token)]


def signed_in(database: Database, ours: Holding) -> dict[str, str]:
    """Begin a session for a member in every role and for somebody who runs the installation."""
    found = {}
    with database.transaction() as writing:
        users.create_user(writing, "root@aurora.example", PASSWORD, platform_admin=True)
        names = {"root": "root@aurora.example"} | {role: ours.email(role) for role in ROLES}
        for name, email in names.items():
            person = users.by_email(writing, email)
            assert person is not None
            found[name] = sessions.begin(writing, person.id)
    return found


def test_no_request_is_answered_with_a_fault_of_ours(postgres_database: Database, copies: Copies) -> None:
    requests, seed = (int(os.environ.get(name, usual)) for name, usual in (("FUZZ_REQUESTS", _SUITE), ("FUZZ_SEED", 1)))
    ours = holding(postgres_database, "Aurora")
    people = signed_in(postgres_database, ours)
    books = Books(postgres_database)
    paths = {one: one.filled(books, ours) for one in addresses("/")}
    postgres_database.close()

    async def walk() -> Walk:
        copies.take()
        walker = Walker(application(), await askers(ours, people), paths, seed)
        for start in range(0, requests, _A_ROUND):
            copies.take()
            await walker.learn()
            await walker.go(min(_A_ROUND, requests - start))
        return walker.walk

    found = asyncio.run(walk())
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(found.answers.items()))
    print(f"\n{found.answers.total()} requests to {len(found.paths)} addresses: {statuses}")
    assert found.faults == {}
    assert len(found.paths) == min(len(paths), requests)
    assert {200, 303, 400, 401, 403, 404, 422} <= found.answers.keys()
