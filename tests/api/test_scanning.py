"""Attachments and a virus scanner: what it finds is refused, and while it cannot tell nothing is taken."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from click.testing import CliRunner

from backend.commands import inspect
from backend.lib import settings
from tests.api.conftest import Site, is_problem
from tests.attachments import PDF, attachment
from tests.factories import notification
from tests.vendors.clamd import MALWARE, Clamd

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def scanner(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clamd]:
    """Give a scanner that the site asks."""
    with Clamd() as running:
        monkeypatch.setenv("CARILLON_SCANNER", running.address)
        settings.current.cache_clear()
        yield running
    settings.current.cache_clear()


def infected(**changes: Any) -> dict[str, Any]:
    return notification(attachments=[attachment("clean.pdf"), attachment(content=PDF + MALWARE)], **changes)


def test_a_clean_file_is_taken_and_each_is_looked_through_once(site: Site, scanner: Clamd) -> None:
    given = notification(attachments=[attachment(), attachment("copy.pdf"), attachment("notes.txt", b"x" * 200_000)])
    assert site.send(given).status_code == 202
    assert sorted(scanner.scanned) == sorted([PDF, b"x" * 200_000])
    assert site.send(notification("none")).status_code == 202
    assert len(scanner.scanned) == 2


def test_what_the_scanner_finds_is_refused_with_its_name_and_validated_afresh(site: Site, scanner: Clamd) -> None:
    problem = is_problem(site.send(infected()), 422, "invalid_attachment")
    (error,) = problem["errors"]
    assert error["pointer"] == "/channels/0/attachments/1"
    assert error["detail"] == "The virus scanner finds Test.Malware-1 in report.pdf."
    assert site.show(problem["notification_id"]).json()["status"] == "FAILED"
    scanner.answer = b"stream: OK"  # its signatures were wrong, and are mended
    again = site.send(infected())
    assert (again.status_code, again.json()["notification_id"]) == (202, problem["notification_id"])


def test_no_way_of_writing_leads_past_the_scanner(site: Site, scanner: Clamd) -> None:
    escaped = json.dumps(infected()).replace('"attachments"', '"\\u0061ttachments"').encode()
    is_problem(site.http.post("/notifications/v1", content=escaped, headers=JSON), 422, "invalid_attachment")
    answer = site.http.post("/notifications/v1/bulk", json={"notifications": [notification(), infected()]})
    assert [one["status"] for one in answer.json()["results"]] == [202, 422]
    assert site.explain(infected()).json()["would"] == "FAIL"


@pytest.mark.parametrize("fault", ["away", "limit", "confused"])
def test_while_the_scanner_cannot_tell_nothing_with_files_is_taken(site: Site, scanner: Clamd, fault: str) -> None:
    if fault == "away":
        scanner.shutdown()
        scanner.server_close()
    elif fault == "limit":
        scanner.limit = 10
    else:
        scanner.answer = b"UNKNOWN COMMAND"
    before = site.stored()
    answer = site.send(notification(attachments=[attachment()]))
    is_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "30"
    assert site.stored() == before
    assert site.send(notification()).status_code == 202


def test_the_doctor_tells_of_the_scanner(site: Site, scanner: Clamd) -> None:
    assert "answers" in CliRunner().invoke(inspect.doctor).output
    scanner.answer = b"UNKNOWN COMMAND"
    told = CliRunner().invoke(inspect.doctor).output
    assert "notifications with attachments are refused" in told


def test_a_file_behind_a_link_is_looked_through_too(site: Site, scanner: Clamd) -> None:
    bad = attachment(content=PDF + MALWARE, link={})
    given = notification(attachments=[attachment("first.pdf", link={}), attachment("clean.pdf"), bad])
    problem = is_problem(site.send(given), 422, "invalid_attachment")
    assert [error["pointer"] for error in problem["errors"]] == ["/channels/0/attachments/2"]
    assert site.explain(given).json()["would"] == "FAIL"


def test_while_a_scanner_takes_its_time_long_bodies_are_read(site: Site, scanner: Clamd) -> None:
    scanner.wait = threading.Event()
    waiting = [
        notification(str(number), attachments=[attachment(content=PDF + bytes([number]))]) for number in range(6)
    ]
    long = [notification(fields={"sample_id": str(number), "note": "x" * 100_000}) for number in range(8)]
    with ThreadPoolExecutor(20) as people:
        held = [people.submit(site.send, one) for one in waiting]
        held += [people.submit(site.explain, one) for one in waiting]
        assert scanner.begun.wait(10)
        try:
            answers = [people.submit(site.send, one) for one in long]
            assert [one.result(20).status_code for one in answers] == [202] * 8
            assert people.submit(site.explain, long[0]).result(20).status_code == 200
            assert not any(one.done() for one in held)
        finally:
            scanner.wait.set()
        assert [one.result(20).status_code for one in held] == [202] * 6 + [200] * 6
