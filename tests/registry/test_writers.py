"""Many writers at the same moment, on both databases: each is checked by what the one before it left."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from backend.db.database import Database
from backend.lib.problems import Problem
from backend.registry import recipients, templates
from backend.registry.lookup import Address
from backend.registry.templates import TemplateContent
from tests.registry.conftest import make_services

WRITERS = 8


def at_once(work: Callable[[int], str], count: int = 24) -> Counter[str]:
    """Do ``work`` for each number in many threads and count what came of it; a problem counts by its code."""

    def checked(number: int) -> str:
        try:
            return work(number)
        except Problem as problem:
            return problem.code

    with ThreadPoolExecutor(WRITERS) as pool:
        return Counter(pool.map(checked, range(count)))


def test_one_of_two_services_gets_the_identifier(each_database: Database) -> None:
    services = make_services(each_database)

    def put(number: int) -> str:
        with each_database.transaction() as session:
            _, created = recipients.put(session, services[number % 2], "GROUP", "Group", [])
        return "created" if created else "same"

    assert at_once(put) == {"created": 1, "same": 11, "identifier_taken": 12}


def test_endpoints_are_replaced_as_a_whole(each_database: Database) -> None:
    mine, _ = make_services(each_database)
    addresses = [Address("EMAIL", f"a{number}@lab.example") for number in range(5)]
    rounds = [tuple(addresses[first:] + addresses[:first])[:3] for first in range(5)]

    def put(number: int) -> str:
        with each_database.transaction() as session:
            recipients.put(session, mine, "GROUP", "Group", rounds[number % 5])
        return "put"

    assert at_once(put) == {"put": 24}
    with each_database.read() as session:
        assert recipients.get(session, mine, "GROUP").endpoints in rounds


def test_versions_are_counted_without_gaps(each_database: Database) -> None:
    mine, _ = make_services(each_database)

    def put(number: int) -> str:
        content = TemplateContent(name="T", format="text", source=f"text {number}")
        with each_database.transaction() as session:
            _, created = templates.put(session, mine, "TEXT", content, "client-1")
        return "created" if created else "published"

    assert at_once(put) == {"created": 1, "published": 23}
    with each_database.read() as session:
        found = templates.versions(session, mine, "TEXT", 100)
        current = templates.get(session, mine, "TEXT")
    assert [version.version for version in found] == list(range(24, 0, -1))
    assert len({version.content.source for version in found}) == 24
    assert current.content == found[0].content


def test_deletion_and_revival_take_turns(each_database: Database) -> None:
    mine, _ = make_services(each_database)
    content = TemplateContent(name="T", format="text", source="text")

    def write(number: int) -> str:
        with each_database.transaction() as session:
            if number % 2:
                templates.delete(session, mine, "TEXT")
                return "deleted"
            _, created = templates.put(session, mine, "TEXT", content, "client-1")
        return "created" if created else "same"

    outcome = at_once(write)
    assert outcome["deleted"] + outcome["not_found"] == 12
    assert outcome["created"] + outcome["same"] == 12
    assert outcome["created"] - outcome["deleted"] in {0, 1}


def test_what_a_version_holds_comes_back_as_it_was(each_database: Database) -> None:
    mine, _ = make_services(each_database)
    samples = [{"text": "é\u2028", "number": 1.5, "none": None, "list": [1, [True]]}, {}]
    content = TemplateContent(
        name="Ünïcode", format="mjml", source="<mjml>é</mjml>", sample_fields=samples, batch={"quiet_seconds": 0.5}
    )
    for expected in (True, False):
        with each_database.transaction() as session:
            record, created = templates.put(session, mine, "TEXT", content, "client-1")
        assert (record.version, created) == (1, expected)
    with each_database.read() as session:
        assert templates.get(session, mine, "TEXT").content == content
