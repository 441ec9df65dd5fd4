"""The lookups of sending: right answers in a fixed number of statements."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest import mock

from sqlalchemy import event
from sqlalchemy.orm import Session

from backend.db import driver
from backend.db.database import Database
from backend.db.driver import Rows
from backend.registry import lookup, recipients, templates
from backend.registry.lookup import Address, VersionCache
from backend.registry.templates import TemplateContent
from tests.registry.conftest import make_services


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Collect the statements that are sent."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("SELECT"):
            sent.append(statement)

    ask = driver.ask

    def note_too(session: Session, text: str, values: Sequence[object]) -> Rows:
        sent.append(text)
        return ask(session, text, values)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        with mock.patch.object(driver, "ask", note_too):
            yield sent
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def content(source: str, **more: object) -> TemplateContent:
    return TemplateContent(name="T", format="text", source=source, **more)


def test_recipients_are_found_in_one_statement(each_database: Database) -> None:
    mine, theirs = make_services(each_database)
    many = [Address("EMAIL", f"a{number}@lab.example") for number in (3, 1, 2)]
    with each_database.transaction() as session:
        recipients.put(session, mine, "GROUP", "Group", many)
        recipients.put(session, mine, "EMPTY", "Empty", [])
        recipients.put(session, mine, "GONE", "Gone", many)
        recipients.delete(session, mine, "GONE")
        recipients.put(session, theirs, "THEIRS", "Theirs", many)
    wanted = ["GROUP", "EMPTY", "GONE", "THEIRS", "NOBODY", *(f"N{number}" for number in range(300))]
    with each_database.read() as session, statements(each_database) as sent:
        found = lookup.recipients(session, mine, wanted)
    assert found == {"GROUP": tuple(many), "EMPTY": ()}
    assert len(sent) == 1


def test_a_template_that_did_not_change_is_not_read_again(each_database: Database) -> None:
    mine, theirs = make_services(each_database)
    with each_database.transaction() as session:
        for number in range(20):
            templates.put(session, mine, f"T_{number}", content(f"text {number}"), "client-1")
        templates.put(session, theirs, "THEIRS", content("theirs"), "client-2")
    wanted = [*(f"T_{number}" for number in range(20)), "THEIRS", "NOBODY"]
    counts = []
    for _ in range(2):
        with each_database.read() as session, statements(each_database) as sent:
            found = lookup.templates(session, mine, wanted)
        counts.append(len(sent))
    assert counts == [2, 1]
    assert found.keys() == {f"T_{number}" for number in range(20)}
    assert found["T_7"].source == "text 7"


def test_a_lookup_gives_the_version_of_this_moment(each_database: Database) -> None:
    mine, _ = make_services(each_database)
    batch = {"max_items": 7}
    with each_database.transaction() as session:
        templates.put(session, mine, "TEXT", content("one"), "client-1")
    with each_database.read() as session:
        first = lookup.templates(session, mine, ["TEXT"])["TEXT"]
    with each_database.transaction() as session:
        templates.put(session, mine, "TEXT", content("two", subject="S", batch=batch), "client-1")
    with each_database.read() as session:
        second = lookup.templates(session, mine, ["TEXT"])["TEXT"]
    assert (first.number, first.source, first.subject, first.batch) == (1, "one", None, None)
    assert (second.number, second.source, second.subject, second.batch) == (2, "two", "S", batch)
    with each_database.transaction() as session:
        templates.delete(session, mine, "TEXT")
    with each_database.read() as session:
        assert lookup.templates(session, mine, ["TEXT"]) == {}
        both = lookup.versions(session, {first.version_id, second.version_id, 999})
    assert both == {first.version_id: first, second.version_id: second}


def test_nothing_asked_costs_nothing(each_database: Database) -> None:
    with each_database.read() as session, statements(each_database) as sent:
        assert lookup.recipients(session, 1, []) == {}
        assert lookup.templates(session, 1, []) == {}
        assert lookup.versions(session, []) == {}
    assert sent == []


def test_the_cache_drops_what_was_used_longest_ago() -> None:
    cache: VersionCache[str] = VersionCache(limit=10)
    for version_id in (1, 2):
        cache.put(version_id, str(version_id), size=5)
    cache.take([1])
    cache.put(3, "3", size=5)
    assert cache.take([1, 2, 3]) == {1: "1", 3: "3"}
    cache.put(4, "too large to keep", size=11)
    assert cache.take([1, 3, 4]) == {}
