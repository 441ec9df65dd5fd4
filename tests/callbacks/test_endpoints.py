"""Addresses of API clients: registered, changed, switched off and removed, with secrets that are sealed."""

import threading
from collections.abc import Callable

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import select, text

from backend.callbacks import endpoints
from backend.db import alembic_steps, migrate
from backend.db.models.audit import AuditEntry
from backend.db.models.callbacks import CallbackEndpoint, CallbackSecret
from backend.lib.problems import Problem
from tests.callbacks.conftest import ACTOR, Line


def test_the_first_address_comes_with_its_secret_and_later_ones_keep_it(each_line: Line) -> None:
    line = each_line
    secret = line.register()
    assert secret.startswith("whsec_")
    with line.database.transaction() as session:
        same = endpoints.register(session, line.lab.client.id, line.lab.service_id, line.receiver.url, ACTOR)
        other = endpoints.register(session, line.lab.client.id, line.lab.service_id, "https://lims.lab.example/", ACTOR)
    assert same[1] is None
    assert other[1] is None
    assert (other[0].url, other[0].secrets, other[0].enabled) == ("https://lims.lab.example/", 1, True)
    with line.database.read() as session:
        assert endpoints.signing_secrets(session, session.scalars(select(CallbackEndpoint.id)).one()) == [secret]
        told = session.execute(select(AuditEntry.action, AuditEntry.actor).order_by(AuditEntry.id)).all()
    assert told == [("callback.registered", "tests"), ("callback.changed", "tests")]


def test_no_secret_is_stored_or_shown_in_clear(line: Line) -> None:
    secret = line.register()
    with line.database.read() as session:
        rows = session.execute(text("SELECT * FROM callback_secrets")).all()
        entries = session.execute(text("SELECT * FROM audit_entries")).all()
    assert secret.removeprefix("whsec_")[:20] not in repr(rows)
    assert "s3cr3t" not in repr(entries)
    assert secret not in repr(endpoints.NewSigningSecret(secret))


@pytest.mark.parametrize(
    "url",
    [
        "http://lims.lab.example/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/",
        "https://2130706433/",
        "https://user:secret@lims.lab.example/",
        "https://lims.lab.example/#x",
        "https://lims.lab.example:8443/",
        "javascript:alert(1)",
    ],
)
def test_an_address_that_is_not_public_is_refused(line: Line, url: str) -> None:
    with line.database.transaction() as session, pytest.raises(Problem) as refused:
        endpoints.register(session, line.lab.client.id, line.lab.service_id, url, ACTOR)
    assert refused.value.code == "invalid_address"
    assert "secret" not in refused.value.detail


def test_a_third_secret_ends_the_first(line: Line) -> None:
    first = line.register()
    client = line.lab.client.id
    with line.database.transaction() as session:
        second = endpoints.rotate_secret(session, client, ACTOR).secret
        assert endpoints.read(session, client).secrets == 2
        third = endpoints.rotate_secret(session, client, ACTOR).secret
        row = endpoints.existing(session, client)
        assert endpoints.signing_secrets(session, row.id) == [third, second]
    assert len({first, second, third}) == 3


def test_switched_off_by_hand_and_on_again(line: Line) -> None:
    line.register()
    client = line.lab.client.id
    with line.database.transaction() as session:
        off = endpoints.disable(session, client, "Switched off for maintenance.", ACTOR)
    assert (off.enabled, off.disabled_why) == (False, "Switched off for maintenance.")
    assert line.endpoint().noticed_at is not None  # who did it need not be told
    with line.database.transaction() as session:
        on = endpoints.enable(session, client, ACTOR)
    assert (on.enabled, on.disabled_why, on.failures) == (True, None, 0)


def test_a_removed_address_leaves_nothing(each_line: Line) -> None:
    line = each_line
    line.register()
    line.accept()
    line.send()
    with line.database.transaction() as session:
        endpoints.remove(session, line.lab.client.id, ACTOR)
    with line.database.read() as session:
        assert session.scalars(select(CallbackSecret)).all() == []
        with pytest.raises(Problem, match="no callback address"):
            endpoints.read(session, line.lab.client.id)
    assert line.post() == 0


def test_two_who_register_at_once_get_one_address_and_one_secret(each_line: Line) -> None:
    line, start = each_line, threading.Barrier(2)
    made: list[object] = []

    def register() -> None:
        start.wait()
        with line.database.transaction() as session:
            args = (line.lab.client.id, line.lab.service_id, line.receiver.url, ACTOR)
            made.append(endpoints.register(session, *args)[1])

    threads = [threading.Thread(target=register) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(made) == 2
    assert made.count(None) == 1


def test_an_address_that_is_removed_while_messages_are_written_stops_no_delivery(
    each_line: Line, configure: Callable[..., object]
) -> None:
    line = each_line
    line.register()
    for number in range(20):
        line.accept(f"S-{number}")
    gone = threading.Event()

    def remove() -> None:
        with line.database.transaction() as session:
            endpoints.remove(session, line.lab.client.id, ACTOR)
        gone.set()

    thread = threading.Thread(target=remove)
    thread.start()
    while line.sender.send_some(limit=2):
        pass
    thread.join(20)
    assert gone.is_set()
    with line.database.read() as session:
        assert set(session.execute(text("SELECT DISTINCT status FROM notifications")).scalars()) == {"SENT"}


def test_the_migration_seals_addresses_that_are_there_and_the_way_back_opens_them(each_line: Line) -> None:
    line = each_line
    line.register()
    revision = ScriptDirectory.from_config(alembic_steps.config()).get_revision("0016")

    def stored() -> str:
        with line.database.read() as session:
            return str(session.execute(text("SELECT url FROM callback_endpoints")).scalar_one())

    assert line.receiver.url not in stored()
    with line.database.engine.execution_options(carillon_write=True).begin() as connection:
        command.downgrade(alembic_steps.config(connection), str(revision.down_revision))
    assert stored() == line.receiver.url
    migrate.upgrade(line.database)
    assert line.receiver.url not in stored()
    assert line.endpoint().api_client_id == line.lab.client.id
