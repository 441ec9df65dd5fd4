"""Ten and a hundred times as many rows: a page of the portal costs no more, and a file goes out bit by bit."""

from itertools import islice

import pytest
from sqlalchemy import text

from backend.accounts import audit, audit_log
from backend.accounts.audit_log import Filter
from backend.db.database import Database
from backend.db.models.batches import Batch
from backend.db.models.jobs import JobSource
from backend.jobs import queries
from backend.lib import clock
from backend.portal import recipients_csv
from tests.growth import Cost, counted, measured
from tests.portal.conftest import Browser
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import user

COUNTS = (20, 200, 2_000)
SECONDS, BYTES, STATEMENTS = 1.0, 150_000, 25
_ROWS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many)"
_INSERTS = {
    "audit": "INSERT INTO audit_entries (at, service_id, actor_kind, actor, action, subject, detail)"
    " ROWS SELECT :at, :service, 'person', 'ada@lab.example', 'recipient.changed', 'X_' || i, '{}' FROM n",
    "jobs": "INSERT INTO jobs (service_id, source, name, file_name, created_at)"
    " ROWS SELECT :service, :source, 'People ' || i, 'people.csv', :at FROM n",
    "recipients": "INSERT INTO recipients (service_id, identifier, name, created_at, updated_at)"
    " ROWS SELECT :service, 'X_N' || :many || '_' || i, 'Number ' || i, :at, :at FROM n",
    "notifications": "INSERT INTO notifications (uid, service_id, priority, status, content, job_id, created_at,"
    " updated_at, accepted_at) ROWS SELECT randomblob(16), :service, 2, 'SENT', '{}',"
    " (SELECT max(id) FROM jobs), :at, :at, :at FROM n",
    "faults": "INSERT INTO spreadsheet_faults (job_id, row_number, column_name, reason)"
    " ROWS SELECT (SELECT max(id) FROM jobs), i, 'email address', 'This is no address.' FROM n",
    "deliveries": "INSERT INTO deliveries (uid, notification_id, service_id, priority, channel_index, type,"
    " template_version_id, recipients, address, status, attempts, due_at, created_at)"
    " ROWS SELECT randomblob(16), notification_id, service_id, priority, 0, type, template_version_id, recipients,"
    " address, 'SENT', 1, due_at, created_at FROM n CROSS JOIN (SELECT * FROM deliveries LIMIT 1)",
    "outbox": "INSERT INTO outbox_messages (delivery_id, service_id, channel, sender, address, text, created_at)"
    " SELECT id, service_id, type, 'lab@lab.example', address, 'Kept text', created_at FROM deliveries"
    " WHERE id NOT IN (SELECT delivery_id FROM outbox_messages)",
    "members": "INSERT INTO batch_members (batch_id, seq, notification_id, channel_index, recipient)"
    " ROWS SELECT batch_id, (SELECT max(seq) FROM batch_members) + i, notification_id, channel_index,"
    " i || recipient || (SELECT max(seq) FROM batch_members)"
    " FROM n CROSS JOIN (SELECT * FROM batch_members LIMIT 1)",
    "batches": "INSERT INTO batches (uid, service_id, key, aggregator_id, type, recipient, template, content_type,"
    " status, held, members, last_seq, quiet_seconds, max_wait_seconds, max_items, opened_at, last_member_at,"
    " closes_at, why) ROWS SELECT randomblob(16), service_id, hex(randomblob(8)), aggregator_id, type, recipient,"
    " template, content_type, 'OPEN', false, members, last_seq, quiet_seconds, max_wait_seconds, max_items, opened_at,"
    " last_member_at, closes_at, why FROM n CROSS JOIN (SELECT * FROM batches LIMIT 1)",
    "happenings": "INSERT INTO events (batch_id, at, kind, detail)"
    " ROWS SELECT (SELECT min(id) FROM batches), :at, 'batch_failed', 'It could not be sent.' FROM n",
}


@pytest.fixture
def lab(browser: Browser, database: Database) -> Desk:
    """Give a service whose administrator, who is one of the platform too, is signed in."""
    made = desk(database)
    user(database, member_of=made.lab.service_id, role="admin", platform_admin=True)
    browser.sign_in()
    return made


def insert(lab: Desk, what: str, many: int) -> None:
    """Store so many more rows."""
    moment = clock.now().replace(tzinfo=None).isoformat(" ")
    values = {"many": many, "service": lab.lab.service_id, "at": moment, "source": JobSource.SPREADSHEET.value}
    with lab.lab.database.transaction() as session:
        session.execute(text(_INSERTS[what].replace("ROWS", _ROWS)), values)


def looked_at(browser: Browser, lab: Desk, address: str) -> Cost:
    """Ask for a page twice, as its template is compiled once, and measure the second answer."""
    browser.get(address)
    cost, answer = measured(lab.lab.database, lambda: browser.get(address), lambda made: len(made.content))
    assert answer.status_code == 200, address
    return cost


def bounded(costs: list[Cost]) -> bool:
    return all(one.statements <= STATEMENTS and one.size < BYTES and one.seconds < SECONDS for one in costs)


@pytest.mark.parametrize(
    ("what", "pages"),
    [
        (["audit"], ["audit", "/portal/admin/audit", "audit?actor=ada", "audit?action=recipient.changed"]),
        (["jobs"], ["jobs", "jobs/list"]),
        (["deliveries", "outbox"], ["outbox", "outbox/list", "/portal/outbox"]),
        (["recipients"], ["recipients"]),
    ],
)
def test_lists_that_grow(browser: Browser, lab: Desk, what: list[str], pages: list[str]) -> None:
    lab.accept()
    for many in COUNTS:
        for one in what:
            insert(lab, one, many)
        assert bounded([looked_at(browser, lab, _address(lab, page)) for page in pages])


def _address(lab: Desk, page: str) -> str:
    return page if page.startswith("/") else f"{lab.home}/{page}"


def test_what_an_audit_log_is_asked_for_by_action_is_found_by_an_index(lab: Desk) -> None:
    with lab.lab.database.transaction() as session:
        audit.record(session, audit.SYSTEM, "service.made", "Laboratory", service_id=lab.lab.service_id)
    for many in (20, 20_000):
        insert(lab, "audit", many)
        for service_id in (lab.lab.service_id, None):
            with counted(lab.lab.database) as steps, lab.lab.database.read() as session:
                assert {"recipient.changed", "service.made"} <= set(audit_log.actions(session, service_id))
                (one,) = audit_log.page(session, Filter(service_id=service_id, action="service.made")).rows
            assert one.subject == "Laboratory"
            assert steps.hundreds < 20, (many, service_id)


def test_a_job_of_many_notifications_and_faulty_rows(browser: Browser, lab: Desk) -> None:
    insert(lab, "jobs", 1)
    for many in COUNTS:
        insert(lab, "notifications", many)
        insert(lab, "faults", many)
        assert bounded([looked_at(browser, lab, f"{lab.home}/jobs/1{rest}") for rest in ("", "/state")])


def test_a_batch_of_many_members_and_happenings_and_many_batches(browser: Browser, lab: Desk) -> None:
    lab.buffer("S-1")
    with lab.lab.database.read() as session:
        uid = session.get_one(Batch, 1).uid
    for many in COUNTS:
        for what in ("members", "happenings", "batches"):
            insert(lab, what, many)
        own = f"{lab.home}/batches/{uid}"
        assert bounded([looked_at(browser, lab, address) for address in (own, f"{own}/state")])
        lists = [looked_at(browser, lab, f"{lab.home}/batches{rest}") for rest in ("", "/list")]
        assert all(one.statements <= STATEMENTS and one.size < 3 * BYTES and one.seconds < SECONDS for one in lists)


@pytest.mark.parametrize(
    ("what", "file"), [("audit", "audit.csv"), ("audit", "/portal/admin/audit.csv"), ("recipients", "recipients.csv")]
)
def test_files_hold_every_row(browser: Browser, lab: Desk, what: str, file: str) -> None:
    for many in COUNTS:
        before = len(browser.get(_address(lab, file)).text.splitlines())
        insert(lab, what, many)
        cost, answer = measured(lab.lab.database, lambda: browser.get(_address(lab, file)))
        assert len(answer.text.splitlines()) == before + many
        assert cost.statements <= STATEMENTS + 2 * sum(COUNTS) // 200  # two for each page of recipients
        assert cost.seconds < SECONDS


def test_the_file_of_faulty_rows_holds_every_one(browser: Browser, lab: Desk) -> None:
    insert(lab, "jobs", 1)
    for many in COUNTS:
        insert(lab, "faults", many)
        cost, answer = measured(lab.lab.database, lambda: browser.get(f"{lab.home}/jobs/1/faults.csv"))
        assert len(answer.text.splitlines()) == 1 + sum(one for one in COUNTS if one <= many)
        assert (cost.statements <= STATEMENTS, cost.seconds < SECONDS) == (True, True)


def test_the_first_lines_of_a_file_are_there_before_its_last_row_is_read(lab: Desk) -> None:
    insert(lab, "jobs", 1)
    for what in ("recipients", "faults", "audit"):
        insert(lab, what, max(COUNTS))
    with lab.lab.database.read() as session:
        everything = audit_log.everything(session, Filter(service_id=lab.lab.service_id))
        for lines in (recipients_csv.lines(lab.lab.service_id, ""), queries.all_faults(session, 1), everything):
            cost, some = measured(lab.lab.database, lambda lines=lines: list(islice(lines, 10)))
            assert (len(some), cost.statements <= 4) == (10, True)
