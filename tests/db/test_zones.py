"""Moments are UTC inside and say so outside, whatever the zones of the process and of the database are."""

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
from advanced_alchemy.base import IdentityBase
from psycopg import sql
from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import make_url

from backend.accounts import sessions, users
from backend.accounts.audit import Actor
from backend.accounts.clients import SCOPES
from backend.accounts.oauth import access_tokens
from backend.callbacks import endpoints
from backend.channels import mime
from backend.channels.base import Channel
from backend.channels.letter import LetterSpool
from backend.db import database as db
from backend.db import driver
from backend.db.database import Database
from backend.db.models.callbacks import CallbackMessage
from backend.db.types import Moment
from backend.delivery.sending.send import Sender
from backend.intake.accept import Accepted, accept_many
from backend.lib import clock, logs, settings
from backend.reports import ledger
from tests.application import application
from tests.channels.messages import message
from tests.conftest import MovableClock
from tests.factories import laboratory, notification
from tests.portal.people_and_messages import PASSWORD
from tests.security.addresses import Address, addresses, of_the_alpha
from tests.security.fuzz import Asked, ask
from tests.security.two_services import Books, Holding, holding

# It is another day in Kiritimati by then, and a day later in New York.
LATE = datetime(2026, 3, 1, 23, 30, 15, 250_000, tzinfo=UTC)
# Of the two zones, and between them.
_OFFSETS = {timedelta(hours=hours) for hours in (4, 5, 14, 18, 19)}
# A key that is made anew each time, and what is measured at that moment.
_MADE_ANEW = {"/portal/account/second-factor", "/portal/admin/doctor"}
_COUNTED = {"set-cookie", "etag", "content-length", "ratelimit"}
Zones = Callable[[str, str], None]
_RANDOM = re.compile(
    r'[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|[0-9a-f]{16,}|[A-Za-z0-9_-]{32,}|name="once" value="[^"]+"'
)


@pytest.fixture
def zones(postgres_database: Database, configure: Callable[..., settings.Settings]) -> Iterator[Callable[..., None]]:
    """Give what sets the zones of this process and of the database."""
    address = make_url(settings.current().database_url).set(drivername="postgresql")

    def use(process: str, server: str) -> None:
        db.current().close()
        with pytest.MonkeyPatch.context() as patched:
            patched.delenv("PGTZ", raising=False)
            with psycopg.connect(address.render_as_string(hide_password=False), autocommit=True) as connection:
                for name, value in (("timezone", server), ("datestyle", "SQL, DMY" if server != "UTC" else "ISO")):
                    setting = sql.SQL("ALTER DATABASE {} SET {} = {}")
                    connection.execute(
                        setting.format(sql.Identifier(str(address.database)), sql.Identifier(name), sql.Literal(value))
                    )
        monkey.setenv("TZ", process)
        time.tzset()
        configure(DATABASE_URL=address.render_as_string(hide_password=False))

    with pytest.MonkeyPatch.context() as monkey:
        yield use
    time.tzset()


def readers(ours: Holding, cookie: str) -> dict[str, tuple[bytes, bytes]]:
    """Return who reads pages, the API, and the alpha's addresses."""
    token = access_tokens.issue(ours.client.client_id, " ".join(sorted(SCOPES)))
    return {
        "page": (b"cookie", f"carillon={cookie}".encode()),
        "client": (b"authorization", f"Bearer {token}".encode()),
        "admin": (b"authorization", f"Bearer {ours.tokens['admin']}".encode()),
        "alpha": (b"authorization", f"Bearer {ours.tokens['client']}".encode()),
    }


def reader(address: Address) -> str:
    if address.path.startswith("/portal"):
        return "page"
    if str(address) not in {str(one) for one in of_the_alpha()}:
        return "client"
    return "alpha" if address.path.endswith("notifications") or "/notification/" in address.path else "admin"


async def read(paths: Mapping[Address, str], who: Mapping[str, tuple[bytes, bytes]]) -> dict[str, str]:
    """Read every page and answer there is, without what is random in it."""
    found = {}
    for address, path in paths.items():
        headers = [(b"host", b"testserver.local"), (b"accept", b"text/html, application/json"), who[reader(address)]]
        status, fields, body = await ask(application(), Asked("", "GET", path.encode(), headers, b""))
        kind = fields.get("content-type", "")
        text = body.decode() if kind.startswith("text") or "json" in kind else ""
        said = {name: value for name, value in fields.items() if name not in _COUNTED}
        found[str(address)] = f"{status} {_RANDOM.sub('…', f'{said} {text}')}"
    return found


def stored_moments(database: Database) -> set[datetime]:
    """Return every moment in the database, as the server itself counts it."""
    found = set()
    with database.read() as session:
        for table in IdentityBase.metadata.sorted_tables:
            for column in table.columns:
                if isinstance(column.type, Moment):
                    epochs = session.scalars(select(func.extract("epoch", column)).where(column.is_not(None)))
                    found |= {datetime.fromtimestamp(float(epoch), UTC) for epoch in epochs}
    return found


def test_every_answer_is_the_same_in_every_zone(zones: Zones, moving_clock: MovableClock) -> None:
    moving_clock.moment = LATE
    zones("Pacific/Kiritimati", "America/New_York")
    ours = holding(db.current(), "Aurora")
    with db.current().transaction() as session:
        root = users.create_user(session, "root@aurora.example", PASSWORD, platform_admin=True)
        cookie = sessions.begin(session, root.id)
    books = Books(db.current())
    read_by_people = [
        one for one in addresses("/") if one.method == "GET" and one.path not in {"/metrics", *_MADE_ANEW}
    ]
    paths = {one: one.filled(books, ours) for one in read_by_people}
    who = readers(ours, cookie)
    stored = stored_moments(db.current())
    found = {}
    for process, server in (("Pacific/Kiritimati", "America/New_York"), ("UTC", "UTC")):
        zones(process, server)
        with db.current().read() as session:
            days = {entry.day for entry in ledger.balance(session) if entry.accepted}
        found[server] = asyncio.run(read(paths, who)) | {"ledger": str(days)}
    abroad, at_home = found.values()
    assert {where: (text, at_home[where]) for where, text in abroad.items() if text != at_home[where]} == {}
    assert abroad["ledger"] == str({LATE.date()})
    for ending, said in (
        ("/audit.csv", "\n2026-03-01T23:30:15.250000Z,"),
        ("/notifications/v1", '"created_at":"2026-03-01T23:30:15.250000Z"'),
        ("/{service_id:int}/notifications", 'datetime="2026-03-01T23:30:15.250000Z"'),
        ("/job/{job_id:int}", '"2026-03-01T23:30:15.250000Z"'),
    ):
        texts = [text for where, text in abroad.items() if where.endswith(ending)]
        assert any(said in text for text in texts), (ending, texts)
    assert LATE in stored
    # What is due later, or over at some time, is whole minutes away, which no zone's offset is mistaken for.
    assert {moment for moment in stored if moment != LATE and abs(moment - LATE) in _OFFSETS} == set()


def test_what_the_database_tells_in_another_zone_is_brought_to_utc() -> None:
    abroad = LATE.astimezone(timezone(timedelta(hours=-5)))
    found = [Moment().process_result_value(abroad, postgresql.dialect()), driver.moment(abroad)]  # type: ignore[no-untyped-call]
    assert [(moment, moment.tzinfo) for moment in found if moment] == [(LATE, UTC)] * 2


def test_what_leaves_by_other_ways_says_it_in_utc(zones: Zones, moving_clock: MovableClock, tmp_path: Path) -> None:
    moving_clock.moment = LATE
    zones("Pacific/Kiritimati", "America/New_York")
    lab = laboratory(db.current())
    with db.current().transaction() as session:
        endpoints.register(
            session, lab.client.id, lab.service_id, "https://lab.example/hook", Actor("command", "tests")
        )
    (accepted,) = accept_many([lab.submission(notification())], lambda _priorities: None)
    assert isinstance(accepted, Accepted)
    sender = Sender("worker-one")
    while sender.send_some():
        pass
    with db.current().read() as session:
        payload = json.loads(session.scalars(select(CallbackMessage.payload)).one())
    assert payload["timestamp"] == "2026-03-01T23:30:15.250000Z"
    post = message(
        channel=Channel.LETTER, address="Ada Lovelace; 12 High Street; LONDON W1A 1AA", html="<p>Dear Ada</p>"
    )
    LetterSpool(tmp_path).open().send(post)
    (manifest,) = tmp_path.glob("2026-03-01/*.json")
    assert json.loads(manifest.read_text())["created"] == "2026-03-01T23:30:15.250000Z"
    assert b"Date: Sun, 01 Mar 2026 23:30:15 +0000\r\n" in mime.build(message(), clock.now())
    for form in (logs._OneLine(), logs._Json()):
        record = logging.LogRecord("backend", logging.INFO, "", 0, "said", None, None)
        assert "2026-03-01T23:30:15.250000Z" in form.format(record)
