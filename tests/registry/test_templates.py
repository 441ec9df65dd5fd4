"""Templates: a version for each new content, counted on through deletion and revival."""

import pytest

from backend.db.database import Database
from backend.lib.problems import Problem
from backend.registry import template_lists, templates
from backend.registry.templates import TemplateContent, TemplateRecord
from tests.conftest import MovableClock

WELCOME = TemplateContent(name="Welcome", format="text", source="Hello {{ name }}", sample_fields={"name": "Ada"})


def put(
    database: Database, service: int, content: TemplateContent, by: str = "client-1"
) -> tuple[TemplateRecord, bool]:
    with database.transaction() as session:
        return templates.put(session, service, "WELCOME", content, by)


def numbers(database: Database, service: int) -> list[int]:
    with database.read() as session:
        return [row.version for row in templates.versions(session, service, "WELCOME", 10)]


def test_new_content_is_a_new_version_and_the_same_content_none(
    database: Database, services: tuple[int, int], moving_clock: MovableClock
) -> None:
    mine, _ = services
    first, created = put(database, mine, WELCOME)
    assert (first.version, created) == (1, True)
    moving_clock.forward(minutes=5)
    assert put(database, mine, WELCOME, "client-2") == (first, False)
    other = TemplateContent(name="Welcome", format="text", source="Good day", batch={"max_items": 5})
    second, created = put(database, mine, other, "client-2")
    assert (second.version, created, second.content) == (2, False, other)
    assert (second.created_at, second.updated_at) == (first.created_at, moving_clock.moment)
    with database.read() as session:
        newest, oldest = templates.versions(session, mine, "WELCOME", 10)
    assert (newest.created_by, oldest.created_by) == ("client-2", "client-1")
    assert (newest.created_at, oldest.content) == (moving_clock.moment, WELCOME)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Welcome!"},
        {"format": "markdown"},
        {"subject": "Hello"},
        {"sample_fields": {"name": "Eve"}},
        {"batch": {"quiet_seconds": 1.5}},
    ],
)
def test_every_member_belongs_to_the_content(
    database: Database, services: tuple[int, int], change: dict[str, object]
) -> None:
    members = {name: getattr(WELCOME, name) for name in WELCOME.__struct_fields__}
    put(database, services[0], WELCOME)
    record, _ = put(database, services[0], TemplateContent(**(members | change)))
    assert record.version == 2


def test_the_order_of_members_is_no_new_content() -> None:
    one = TemplateContent(name="A", format="text", source="a", sample_fields={"a": 1, "b": 2})
    other = TemplateContent(name="A", format="text", source="a", sample_fields={"b": 2, "a": 1})
    assert one.digest() == other.digest()


def test_a_revived_template_goes_on_counting(database: Database, services: tuple[int, int]) -> None:
    mine, theirs = services
    put(database, mine, WELCOME)
    with database.transaction() as session:
        templates.delete(session, mine, "WELCOME")
    for ask in (templates.get, templates.delete):
        with database.transaction() as session, pytest.raises(Problem, match="no template WELCOME"):
            ask(session, mine, "WELCOME")
    with pytest.raises(Problem) as taken:
        put(database, theirs, WELCOME)
    assert taken.value.code == "identifier_taken"
    record, created = put(database, mine, WELCOME)
    assert (record.version, created) == (2, True)
    assert numbers(database, mine) == [2, 1]


def test_pages_show_the_published_version(database: Database, services: tuple[int, int]) -> None:
    mine, theirs = services
    with database.transaction() as session:
        for identifier in ("BBB", "AAA"):
            templates.put(session, mine, identifier, WELCOME, "client-1")
        templates.put(session, theirs, "ABB", WELCOME, "client-1")
        renamed = TemplateContent(name="Renamed", format="html", source="<p>", subject="S")
        templates.put(session, mine, "AAA", renamed, "client-1")
    with database.read() as session:
        first, second = template_lists.page(session, mine, 10)
        assert template_lists.page(session, mine, 10, "BBB") == []
    assert (first.identifier, first.name, first.format, first.version, first.subject) == (
        "AAA",
        "Renamed",
        "html",
        2,
        "S",
    )
    assert (second.identifier, second.name, second.version) == ("BBB", "Welcome", 1)


def test_versions_come_in_pages_newest_first(database: Database, services: tuple[int, int]) -> None:
    for count in range(5):
        put(database, services[0], TemplateContent(name="N", format="text", source=f"{count}"))
    with database.read() as session:
        assert [row.version for row in templates.versions(session, services[0], "WELCOME", 2)] == [5, 4]
        assert [row.version for row in templates.versions(session, services[0], "WELCOME", 2, 2)] == [1]
        with pytest.raises(Problem, match="no template"):
            templates.versions(session, services[1], "WELCOME", 2)
