"""Recipients: endpoints replaced in place, ownership that outlives deletion, two writers at once."""

import pytest

from backend.db.database import Database
from backend.lib.problems import Problem
from backend.registry import recipients
from backend.registry.lookup import Address
from tests.conftest import MovableClock

MAIL = Address("EMAIL", "alerts@lab.example")
PHONE = Address("SMS", "+447700900123")
SLACK = Address("SLACK", "#alerts")


def put(database: Database, service: int, *endpoints: Address, name: str = "Night shift") -> bool:
    with database.transaction() as session:
        _, created = recipients.put(session, service, "NIGHT_SHIFT", name, endpoints)
    return created


def stored(database: Database, service: int) -> recipients.RecipientRecord:
    with database.read() as session:
        return recipients.get(session, service, "NIGHT_SHIFT")


def test_a_put_replaces_the_endpoints_and_keeps_their_order(database: Database, services: tuple[int, int]) -> None:
    mine, _ = services
    assert put(database, mine, MAIL, PHONE)
    assert not put(database, mine, SLACK, PHONE, MAIL)
    assert stored(database, mine).endpoints == (SLACK, PHONE, MAIL)
    assert not put(database, mine, MAIL)
    assert stored(database, mine).endpoints == (MAIL,)


def test_the_same_content_again_changes_nothing(
    database: Database, services: tuple[int, int], moving_clock: MovableClock
) -> None:
    mine, _ = services
    put(database, mine, MAIL)
    before = stored(database, mine)
    moving_clock.forward(hours=1)
    assert not put(database, mine, MAIL)
    assert stored(database, mine) == before
    put(database, mine, MAIL, name="Day shift")
    assert stored(database, mine).updated_at == moving_clock.moment
    assert stored(database, mine).created_at == before.created_at


def test_a_deleted_recipient_stays_its_services_and_can_be_revived(
    database: Database, services: tuple[int, int]
) -> None:
    mine, theirs = services
    put(database, mine, MAIL, PHONE)
    with database.transaction() as session:
        recipients.delete(session, mine, "NIGHT_SHIFT")
    with pytest.raises(Problem, match="no recipient NIGHT_SHIFT"):
        stored(database, mine)
    with pytest.raises(Problem) as taken:
        put(database, theirs, MAIL)
    assert taken.value.code == "identifier_taken"
    assert put(database, mine, MAIL)
    assert stored(database, mine).endpoints == (MAIL,)


def test_all_faulty_endpoints_are_named_at_once() -> None:
    given = [MAIL, Address("EMAIL", "nobody"), PHONE, Address("SMS", "0770"), Address("EMAIL", "alerts@LAB.example")]
    with pytest.raises(Problem) as refused:
        recipients.canonical_endpoints(given)
    assert refused.value.code == "invalid_address"
    pointers = [error.pointer for error in refused.value.errors]
    assert pointers == ["/endpoints/1/address", "/endpoints/3/address", "/endpoints/4/address"]
    assert "the same as the first one" in refused.value.errors[2].detail


def test_pages_follow_the_identifier(database: Database, services: tuple[int, int]) -> None:
    mine, theirs = services
    with database.transaction() as session:
        for identifier in ("CCC", "AAA", "BBB"):
            recipients.put(session, mine, identifier, identifier, [MAIL])
        recipients.put(session, theirs, "ABB", "Theirs", [])
        recipients.put(session, mine, "AAB", "Gone", [])
        recipients.delete(session, mine, "AAB")
    with database.read() as session:
        assert [row.identifier for row in recipients.listed(session, mine, 2)[0]] == ["AAA", "BBB"]
        assert [row.identifier for row in recipients.listed(session, mine, 2, "BBB")[0]] == ["CCC"]
