"""Jobs in the portal: a spreadsheet uploaded, looked at, sent, stopped and sent again; the list; who may."""

import re

import pytest
from httpx import Response
from sqlalchemy import select

from backend.db.database import Database
from backend.db.models.audit import AuditEntry
from backend.db.models.jobs import Job, JobSource
from backend.db.models.notifications import DeliveryStatus
from backend.db.models.spreadsheets import Spreadsheet, UploadPiece
from backend.jobs import tasks
from backend.registry import sending_rules
from backend.registry.sending import SERVICE, Throttle
from tests.conftest import MovableClock
from tests.portal.conftest import BASE_URL, Browser
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import user

CSV = b"email address,sample_id\nada@lab.example,S-1\nnot an address,S-2\nbob@lab.example,S-3\n"
S = DeliveryStatus


@pytest.fixture
def lab(browser: Browser, database: Database, moving_clock: MovableClock) -> Desk:
    """Give a service with an editor, who is signed in, and a viewer."""
    made = desk(database)
    user(database, member_of=made.lab.service_id, role="editor")
    user(database, "vera@lab.example", member_of=made.lab.service_id, role="viewer")
    browser.sign_in()
    return made


def upload(browser: Browser, lab: Desk, content: bytes = CSV, token: str | None = None, **form: str) -> Response:
    """Send the form with a file."""
    values = {"template": "X_SAMPLE", "channel": "EMAIL", "subject": "A sample", "name": ""} | form
    return browser.client.post(
        f"{lab.home}/jobs",
        data={"_csrf_token": browser.token() if token is None else token, **values},
        files={"file": ("people.csv", content, "text/csv")},
        headers={"Accept": "text/html", "Origin": BASE_URL},
        follow_redirects=False,
    )


def job_of(answer: Response) -> int:
    assert answer.status_code == 303, answer.text
    found = re.search(r"/jobs/(\d+)$", answer.headers["location"])
    assert found
    return int(found[1])


def shown(browser: Browser, address: str) -> int:
    """Count the notifications of a list."""
    return len(set(re.findall(r"/notifications/([0-9a-f-]{36})", browser.get(address).text)))


def test_a_spreadsheet_is_checked_looked_at_and_sent(browser: Browser, lab: Desk) -> None:
    assert "No jobs yet" in browser.get(f"{lab.home}/jobs").text
    job = job_of(upload(browser, lab))
    own = f"{lab.home}/jobs/{job}"
    assert "Being checked" in browser.get(own).text
    tasks.turn.run(job)
    page = browser.get(own).text
    assert "Ready to send" in page
    assert "Send 2 rows" in page
    assert "this one is not of the form name@domain" in page
    assert "S-1" in browser.get(f"{own}/rows/2").text
    assert "sandbox" in browser.get(f"{own}/rows/2").headers["content-security-policy"]
    assert browser.get(f"{own}/faults.csv").content.decode("utf-8-sig").splitlines()[1].startswith("3,email address,")
    assert browser.send(f"{own}/send", when="now").status_code == 303
    tasks.turn.run(job)
    page = browser.get(own).text
    assert "2 of 2 rows are taken" in page
    assert "every 2s" in page
    lab.finish(S.FAILED, "550 no such user", most=1)
    lab.finish(S.SENT, "250 Ok")
    page = browser.get(own).text
    assert "Finished" in page
    assert "every 2s" not in page
    lab.accept("S-9")
    assert shown(browser, f"{lab.home}/notifications?job={job}") == 2
    assert shown(browser, f"{lab.home}/notifications?job={job}&status=FAILED") == 1
    assert shown(browser, f"{lab.home}/notifications") == 3
    assert browser.send(f"{own}/again").status_code == 303
    tasks.turn.run(job)
    lab.finish(S.SENT, "250 Ok")
    assert "Send the failed again" not in browser.get(own).text
    with lab.lab.database.read() as session:
        actions = session.scalars(
            select(AuditEntry.action).where(AuditEntry.action.like("job.%")).order_by(AuditEntry.id)
        )
        assert list(actions) == ["job.uploaded", "job.sent", "job.failed_sent_again"]


def test_the_first_rows_say_which_of_them_are_too_many_for_their_recipient(browser: Browser, lab: Desk) -> None:
    with lab.lab.database.transaction() as session:
        sending_rules.put_throttle(session, lab.lab.service_id, SERVICE, Throttle(most=1, per="1h"))
    job = job_of(upload(browser, lab, b"recipient,sample_id\nX_LAB,S-1\nX_LAB,S-2\n"))
    tasks.turn.run(job)
    why = "The recipient X_LAB gets at most 1 message of the service in 1h."
    assert browser.get(f"{lab.home}/jobs/{job}").text.count(f"Would be refused. {why}") == 1
    browser.send(f"{lab.home}/jobs/{job}/send", when="now")
    tasks.turn.run(job)
    page = browser.get(f"{lab.home}/jobs/{job}").text
    assert "1 of 1 rows are taken" in page
    assert f"Nothing was sent. {why} The next one is taken from" in page


def test_it_goes_at_the_time_chosen_and_can_be_stopped_before(
    browser: Browser, lab: Desk, moving_clock: MovableClock
) -> None:
    job = job_of(upload(browser, lab))
    own = f"{lab.home}/jobs/{job}"
    tasks.turn.run(job)
    for at in ("", "2026-03-09T09:01", "2026-03-02T08:59", "0001-01-01T00:00"):
        assert browser.send(f"{own}/send", when="later", at=at).status_code == 422, at
    assert browser.send(f"{own}/send", when="later", at="2026-03-09T09:00").status_code == 303
    tasks.turn.run(job)
    assert "Scheduled" in browser.get(own).text
    moving_clock.forward(days=7)
    tasks.turn.run(job)
    browser.sign_in()
    assert "2 of 2 rows" in browser.get(own).text
    assert browser.send(f"{own}/stop").status_code == 303
    tasks.turn.run(job)
    page = browser.get(own).text
    assert "Stopped" in page
    assert "status=CANCELLED" in page
    assert browser.send(f"{own}/stop").status_code == 409
    assert browser.send(f"{own}/send", when="now").status_code == 422


@pytest.mark.parametrize(
    ("content", "form", "sentence"),
    [
        (b"", {}, "The file is empty."),
        (b"PK\x03\x04rest", {}, "damaged or has a password"),
        (b"email address,sample_id\n\xff\xfe\xfa,1\n", {}, "not text in UTF-8 or UTF-16"),
        (b"sample_id\nS-1\n", {}, "No column says who each row goes to."),
        (b"email address,note\na@b.example,1\n", {}, "The template needs the column “sample_id”"),
        (CSV, {"template": "X_NONE"}, "Choose one of the templates"),
        (CSV, {"channel": "PIGEON"}, "Choose one of the list."),
        (CSV, {"subject": ""}, "The template has no subject of its own"),
        (CSV, {"subject": "Sample {{ sample_id }}"}, "goes out as it is"),
        (CSV, {"name": "x" * 161}, "The name has at most 160 characters."),
    ],
)
def test_what_cannot_be_used_is_said_beside_its_field(
    browser: Browser, lab: Desk, content: bytes, form: dict[str, str], sentence: str
) -> None:
    answer = upload(browser, lab, content, **form)
    assert answer.status_code == 422
    assert sentence in answer.text
    with lab.lab.database.read() as session:
        assert session.scalars(select(UploadPiece.id)).all() == []


def test_a_file_that_is_too_large_is_refused_before_it_is_read(browser: Browser, lab: Desk) -> None:
    answer = browser.client.post(
        f"{lab.home}/jobs",
        content=b"x",
        headers={"Accept": "text/html", "Content-Length": str(60 * 1024**2), "Content-Type": "multipart/form-data"},
    )
    assert answer.status_code == 413
    assert "more than 50 MiB" in answer.text


def test_the_form_asks_for_its_token(browser: Browser, lab: Desk) -> None:
    assert upload(browser, lab, token="0" * 128).status_code == 403
    assert upload(browser, lab, token="").status_code == 403


def test_a_viewer_sees_and_changes_nothing(browser: Browser, lab: Desk) -> None:
    job = job_of(upload(browser, lab))
    tasks.turn.run(job)
    browser.client.cookies.clear()
    browser.sign_in("vera@lab.example")
    page = browser.get(f"{lab.home}/jobs/{job}").text
    assert "Ready to send" in page
    assert "Send 2 rows" not in page
    assert upload(browser, lab).status_code == 403
    for act in ("send", "stop", "again"):
        assert browser.send(f"{lab.home}/jobs/{job}/{act}").status_code == 403


def test_jobs_of_other_services_are_not_there(browser: Browser, lab: Desk, database: Database) -> None:
    other = desk(database, "Museum")
    with database.transaction() as session:
        session.add(Job(service_id=other.lab.service_id, source=JobSource.ALPHA.value, name="theirs"))
        session.add(Job(service_id=lab.lab.service_id, source=JobSource.ALPHA.value, name="ours"))
    page = browser.get(f"{lab.home}/jobs").text
    assert "ours" in page
    assert "GOV.UK Notify API" in page
    assert "theirs" not in page
    assert browser.get(f"{lab.home}/jobs/1").status_code == 404
    assert browser.get(f"{lab.home}/jobs/2").status_code == 200
    assert browser.get(f"{lab.home}/jobs/99").status_code == 404


def test_the_example_is_taken_as_it_is(browser: Browser, lab: Desk) -> None:
    lab.lab.template(
        "X_ALL", "<p>{{ first }} {{ last | default('') }}</p>", sample_fields={"first": "Ada", "last": "B"}
    )
    answer = browser.get(f"{lab.home}/jobs/example?template=X_ALL&channel=EMAIL")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.content.decode("utf-8-sig") == "email address,first,last\r\nada@lab.example,Ada,B\r\n"
    job = job_of(upload(browser, lab, answer.content, template="X_ALL"))
    tasks.turn.run(job)
    with lab.lab.database.read() as session:
        sheet = session.scalars(select(Spreadsheet)).one()
        assert (sheet.stage, sheet.good_rows, sheet.faulty_rows) == ("CHECKED", 1, 0)
    assert browser.get(f"{lab.home}/jobs/example?template=X_NONE").status_code == 404
