"""Drafts: shared by editors, never written over unseen, with a copy of whatever leaves them unpublished."""

import pytest

from backend.db.database import Database
from backend.lib.problems import Problem
from backend.registry import drafts, samples, template_usage, templates
from backend.registry.drafts import DraftConflict, Key, Working
from backend.registry.templates import TemplateContent
from tests.conftest import MovableClock
from tests.registry.conftest import make_services

ADA, BEN = "ada@lab.example", "ben@lab.example"


def text(source: str, **more: object) -> TemplateContent:
    return TemplateContent(**({"name": "Welcome", "format": "text", "source": source} | more))


def create(database: Database, service: int, source: str = "Hello", identifier: str = "WELCOME") -> Key:
    key = Key(service, identifier)
    with database.transaction() as session:
        drafts.create(session, key, text(source), ADA)
    return key


def save(database: Database, key: Key, source: str, revision: int, author: str = ADA) -> Working:
    with database.transaction() as session:
        return drafts.save(session, key, text(source), revision, author)


def publish(database: Database, key: Key, revision: int) -> templates.TemplateRecord:
    with database.transaction() as session:
        return drafts.publish(session, key, revision, ADA)


def working(database: Database, key: Key) -> Working:
    with database.read() as session:
        return drafts.working(session, key)


def test_a_template_begins_as_a_draft_that_nobody_can_send(each_database: Database, moving_clock: MovableClock) -> None:
    from_two = make_services(each_database)
    key = create(each_database, from_two[0])
    found = working(each_database, key)
    assert (found.revision, found.published, found.based_on, found.updated_by) == (1, None, None, ADA)
    with each_database.read() as session, pytest.raises(Problem) as refused:
        templates.get(session, key.service_id, key.identifier)
    assert refused.value.code == "not_found"
    for service, identifier in ((key.service_id, "WELCOME"), (from_two[1], "WELCOME")):
        with each_database.transaction() as session, pytest.raises(Problem) as taken:
            drafts.create(session, Key(service, identifier), text("x"), ADA)
        assert taken.value.code == "identifier_taken"
    moving_clock.forward(minutes=1)
    record = publish(each_database, key, 1)
    assert (record.version, record.content.source) == (1, "Hello")
    assert working(each_database, key).revision == 0
    # What was published can be published through the API as ever, and goes on counting.
    with each_database.transaction() as session:
        again, created = templates.put(session, key.service_id, "WELCOME", text("By API"), "client")
    assert (again.version, created) == (2, False)


def test_what_an_api_client_publishes_over_a_first_draft_is_a_new_template(
    database: Database, services: tuple[int, int]
) -> None:
    key = create(database, services[0])
    with database.transaction() as session:
        record, created = templates.put(session, services[0], "WELCOME", text("By API"), "client")
    assert (record.version, created) == (1, True)
    found = working(database, key)
    assert (found.content.source, found.published, found.based_on) == ("Hello", 1, None)


def test_a_save_counts_and_one_that_was_read_before_another_is_refused(
    database: Database, services: tuple[int, int]
) -> None:
    key = create(database, services[0])
    assert save(database, key, "By Ben", 1, BEN).revision == 2
    assert save(database, key, "By Ben", 1, ADA).revision == 2, "the same text is no conflict"
    with pytest.raises(DraftConflict) as conflict:
        save(database, key, "By Ada", 1)
    assert conflict.value.present.content.source == "By Ben"
    assert conflict.value.code == "draft_changed"
    with database.transaction() as session:
        kept = drafts.save_over(session, key, text("By Ada"), ADA)
    assert (kept.revision, kept.content.source) == (3, "By Ada")
    with database.read() as session:
        (copy,) = drafts.copies(session, key)
    assert (copy.content.source, copy.why, copy.saved_by) == ("By Ben", "replaced", BEN)


def test_two_who_begin_a_draft_of_the_same_version_meet(database: Database, services: tuple[int, int]) -> None:
    key = create(database, services[0])
    publish(database, key, 1)
    save(database, key, "By Ben", 0, BEN)
    with pytest.raises(DraftConflict):
        save(database, key, "By Ada", 0)
    with database.transaction() as session:
        drafts.set_aside(session, key, text("By Ada"), ADA)
    with database.read() as session:
        assert [(one.content.source, one.why) for one in drafts.copies(session, key)] == [("By Ada", "unsaved")]


def test_publishing_what_somebody_changed_meanwhile_is_refused(database: Database, services: tuple[int, int]) -> None:
    key = create(database, services[0])
    save(database, key, "By Ben", 1, BEN)
    with pytest.raises(DraftConflict):
        publish(database, key, 1)
    assert publish(database, key, 2).content.source == "By Ben"
    with pytest.raises(Problem) as nothing:
        publish(database, key, 0)
    assert nothing.value.code == "not_found"


def test_a_discarded_draft_is_kept_as_a_copy_and_the_version_shows_again(
    database: Database, services: tuple[int, int]
) -> None:
    key = create(database, services[0])
    publish(database, key, 1)
    save(database, key, "Draft", 0)
    with database.transaction() as session:
        drafts.discard(session, key, BEN)
    assert working(database, key).content.source == "Hello"
    with database.read() as session:
        assert [(one.content.source, one.saved_by) for one in drafts.copies(session, key)] == [("Draft", BEN)]


def test_a_discarded_first_draft_leaves_the_list_and_its_identifier_free(
    database: Database, services: tuple[int, int]
) -> None:
    key = create(database, services[0])
    with database.transaction() as session:
        drafts.discard(session, key, ADA)
    with database.read() as session, pytest.raises(Problem):
        drafts.working(session, key)
    with database.read() as session:
        assert drafts.in_draft(session, services[0]) == []
    create(database, services[0], "Anew")
    with database.read() as session:
        assert [one.content.source for one in drafts.in_draft(session, services[0])] == ["Anew"]


def test_copies_are_the_newest_twenty(database: Database, services: tuple[int, int]) -> None:
    key = create(database, services[0])
    with database.transaction() as session:
        for number in range(25):
            drafts.set_aside(session, key, text(f"Text {number}"), ADA)
    with database.read() as session:
        kept = [one.content.source for one in drafts.copies(session, key)]
    assert kept == [f"Text {number}" for number in range(24, 4, -1)]


def test_another_service_sees_nothing_of_it(database: Database, services: tuple[int, int]) -> None:
    key = create(database, services[0])
    foreign = Key(services[1], key.identifier)
    with database.transaction() as session:
        for act in (drafts.working, drafts.copies):
            with pytest.raises(Problem, match="no template"):
                act(session, foreign)
        with pytest.raises(Problem):
            drafts.discard(session, foreign, BEN)
    assert working(database, key).revision == 1


def test_a_version_is_published_with_the_first_sample(database: Database, services: tuple[int, int]) -> None:
    key = create(database, services[0])
    with database.transaction() as session:
        template_id = drafts.working(session, key).template_id
        samples.put(session, template_id, "Example", '{"name": "Ada"}')
        samples.put(session, template_id, "Long", '{"name": "A very long name"}')
    assert publish(database, key, 1).content.sample_fields == {"name": "Ada"}


def test_the_text_of_a_test_is_no_version_to_anybody(database: Database, services: tuple[int, int]) -> None:
    key = create(database, services[0])
    with database.transaction() as session:
        template_id = drafts.working(session, key).template_id
        first = drafts.for_a_test(session, template_id, text("Try"), ADA)
        assert drafts.for_a_test(session, template_id, text("Try"), ADA) == first
        drafts.for_a_test(session, template_id, text("Try again"), ADA)
    publish(database, key, 1)
    with database.read() as session:
        assert [one.version for one in templates.versions(session, services[0], "WELCOME", 10)] == [1]
        with pytest.raises(Problem):
            templates.version(session, services[0], "WELCOME", -1)
        assert template_usage.last_used(session, services[0]) == {}
