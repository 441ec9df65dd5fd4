"""Sending again: to the present addresses of recipients, a whole group of failures in one step, each thing once."""

import re
from uuid import UUID

import pytest
from sqlalchemy import select, update

from backend.accounts.audit import Actor
from backend.channels.base import Channel
from backend.corrections import preview, report, send
from backend.db.database import Database
from backend.db.models.audit import AuditEntry
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.db.models.resends import Resend, ResendItem
from backend.delivery import again, retention
from backend.lib import settings
from backend.registry import recipients, suppressions
from backend.reports import failing
from tests.conftest import MovableClock
from tests.factories import notification
from tests.portal.conftest import Browser
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import user

S = DeliveryStatus
BY = Actor("person", "ada@lab.example")
OLD, NEW = "old.office@lab.example", "new.office@lab.example"


@pytest.fixture
def lab(browser: Browser, database: Database) -> Desk:
    """Give a service with an editor, who is signed in."""
    made = desk(database)
    user(database, member_of=made.lab.service_id, role="editor")
    browser.sign_in()
    return made


def failed(lab: Desk, *samples: str, recipient: str = "X_MOVED") -> list[UUID]:
    """Let notifications to a recipient at its old address fail."""
    lab.lab.recipient(recipient, ("EMAIL", OLD))
    uids = [lab.accept(sample, recipient=[recipient], subject=f"Sample {sample}") for sample in samples]
    lab.finish(S.FAILED, "550 5.1.1 User unknown")
    return uids


def rows(database: Database) -> list[tuple[str, str]]:
    """Return address and status of all deliveries."""
    with database.read() as session:
        return [(one.address, one.status) for one in session.scalars(select(Delivery).order_by(Delivery.id))]


def key_of(lab: Desk) -> str:
    with lab.lab.database.read() as session:
        return failing.now(session, lab.lab.service_id)[0].key


def failing_now(lab: Desk) -> int:
    with lab.lab.database.read() as session:
        return sum(one.count for one in failing.now(session, lab.lab.service_id))


def test_it_goes_to_the_present_address_and_the_old_one_is_told(browser: Browser, lab: Desk) -> None:
    (uid,) = failed(lab, "S-1")
    lab.lab.recipient("X_MOVED", ("EMAIL", NEW))
    address = f"{lab.home}/notifications/{uid}"
    page = browser.get(address).text
    assert "If it is sent again" in page
    assert re.search(rf"Failed for</span> <a [^>]+>{OLD}</a>", page)
    assert re.search(rf"goes to <a [^>]+>{NEW}</a>, its recipient’s address now", page)
    browser.send(f"{address}/again")
    browser.send(f"{address}/again")
    assert rows(lab.lab.database) == [(OLD, "CANCELLED"), (NEW, "QUEUED")]
    lab.finish(S.SENT, "250 Ok")
    assert lab.statuses(uid) == ("SENT", ["CANCELLED", "SENT"])
    page = browser.get(address).text
    assert f"It failed; {NEW} gets it instead" in page
    assert f"In place of {OLD}." in page
    assert f"Given up for {OLD}: {NEW} gets it instead, asked for by ada@lab.example." in page
    assert failing_now(lab) == 0
    found = re.search(r'href="([^"]+/sent-again/[^"]+)">by ada@lab.example', page)
    assert found
    told = browser.get(found[1]).text
    assert f"notifications/{uid}" in told
    assert f"in place of {OLD}" in told


def test_an_address_that_comes_back_gets_its_own_message_again(lab: Desk) -> None:
    (uid,) = failed(lab, "S-1")
    lab.lab.recipient("X_MOVED", ("EMAIL", NEW))
    again.send_again(lab.lab.service_id, uid, BY)
    lab.finish(S.FAILED, "550 5.1.1 User unknown")
    lab.lab.recipient("X_MOVED", ("EMAIL", OLD))
    again.send_again(lab.lab.service_id, uid, BY)
    assert rows(lab.lab.database) == [(OLD, "QUEUED"), (NEW, "CANCELLED")]
    lab.finish(S.SENT, "250 Ok")
    assert lab.statuses(uid)[0] == "SENT"


def test_two_old_addresses_with_one_new_are_one_message(lab: Desk) -> None:
    uid = lab.accept("S-1", recipient=["X_TWO"])
    lab.finish(S.FAILED, "550 5.1.1 User unknown")
    lab.lab.recipient("X_TWO", ("EMAIL", NEW))
    done = again.send_again(lab.lab.service_id, uid, BY)
    assert done.queued == 1
    assert [status for address, status in rows(lab.lab.database) if address == NEW] == ["QUEUED"]
    lab.finish(S.SENT, "250 Ok")
    assert lab.statuses(uid) == ("SENT", ["CANCELLED", "CANCELLED", "SENT"])


def test_a_failure_is_over_when_the_recipients_other_address_has_it(lab: Desk) -> None:
    uid = lab.accept("S-1", recipient=["X_TWO"])
    lab.finish(S.FAILED, "550 5.1.1 User unknown", most=1)
    lab.finish(S.SENT, "250 Ok")
    assert lab.statuses(uid)[0] == "PARTIAL"
    lab.lab.recipient("X_TWO", ("EMAIL", "night@lab.example"))
    done = again.send_again(lab.lab.service_id, uid, BY)
    assert (done.queued, done.resolved) == (0, 1)
    assert lab.statuses(uid) == ("SENT", ["CANCELLED", "SENT"])


def test_a_group_is_mended_and_sent_again_in_one_step(browser: Browser, lab: Desk) -> None:
    uids = failed(lab, "S-1", "S-2", "S-3")
    other = lab.accept("S-9")
    lab.finish(S.FAILED, "554 5.7.1 Spam")
    home = browser.get(lab.home).text
    found = re.search(r'id="mend-1" href="([^"]+/failures/[0-9a-f]+)"', home)
    assert found
    group = found[1]
    lab.lab.recipient("X_MOVED", ("EMAIL", NEW))
    page = browser.get(group).text
    assert re.search(r"<strong>3</strong> messages go to 1 address, 3 of them to a new one", page)
    assert "Send 3 messages again" in page
    led = browser.send(f"{group}/again")
    assert led.status_code == 303
    told = browser.get(led.headers["location"]).text
    assert re.search(r"<strong>3</strong> messages were queued again", told)
    for uid in uids:
        assert f"notifications/{uid}" in told
        assert led.headers["location"] in browser.get(f"{lab.home}/notifications/{uid}").text
    # What fails for another reason is not of the group, and asking twice does it once.
    assert lab.statuses(other)[0] == "FAILED"
    assert browser.send(f"{group}/again").status_code == 404
    assert "Nothing fails so any more" in browser.get(group).text
    assert [status for address, status in rows(lab.lab.database) if address == NEW] == ["QUEUED"] * 3
    assert failing_now(lab) == 1
    with lab.lab.database.read() as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action == "failures.sent_again")).all()
        assert [(one.actor, one.detail["messages"]) for one in entries] == [("ada@lab.example", 3)]


def test_what_is_suppressed_stays_and_leads_to_where_that_is_lifted(browser: Browser, lab: Desk) -> None:
    (uid,) = failed(lab, "S-1")
    with lab.lab.database.transaction() as session:
        suppressions.suppress(session, lab.lab.service_id, Channel.EMAIL, OLD, reason="bounced", detail="550 5.1.1")
    group = f"{lab.home}/failures/{key_of(lab)}"
    page = browser.get(group).text
    assert "since the address is suppressed" in page
    assert f'action="{group}/again"' not in page
    browser.send(f"{group}/again")
    browser.send(f"{lab.home}/notifications/{uid}/again")
    assert rows(lab.lab.database) == [(OLD, "FAILED")]
    assert "1 stayed, since the address is suppressed." in browser.get(f"{lab.home}/notifications/{uid}").text
    found = re.search(r'<a href="([^"]+/addresses/[^"]+)">see why, and lift it there', page)
    assert found
    address = browser.get(found[1]).text
    assert "Lift the suppression" in address
    led = browser.send(f"{lab.home}/suppressions/free", channel="EMAIL", address=OLD, page="address")
    assert led.headers["location"] == found[1]
    assert "It is not suppressed" in browser.get(found[1]).text
    browser.send(f"{group}/again")
    assert rows(lab.lab.database) == [(OLD, "QUEUED")]


def test_without_an_address_it_stays(browser: Browser, lab: Desk) -> None:
    (uid,) = failed(lab, "S-1")
    with lab.lab.database.transaction() as session:
        recipients.delete(session, lab.lab.service_id, "X_MOVED")
    assert "has no address of this channel any more" in browser.get(f"{lab.home}/notifications/{uid}").text
    done = again.send_again(lab.lab.service_id, uid, BY)
    assert [one.why for one in done.messages] == ["no_address"]
    assert rows(lab.lab.database) == [(OLD, "FAILED")]


def test_refused_ones_are_validated_in_the_preview_and_again_when_they_are_sent(browser: Browser, lab: Desk) -> None:
    uids = [lab.submit(notification(sample, recipient=["X_LATER"])) for sample in ("S-1", "S-2")]
    group = f"{lab.home}/failures/{key_of(lab)}"
    page = browser.get(group).text
    assert "0 would be accepted now and 2 refused again" in page
    assert "It would be refused again" in page
    lab.lab.recipient("X_LATER", ("EMAIL", NEW))
    assert "2 would be accepted now and 0 refused again" in browser.get(group).text
    assert [lab.statuses(uid)[0] for uid in uids] == ["FAILED", "FAILED"]
    told = browser.get(browser.send(f"{group}/again").headers["location"]).text
    assert "were</strong>" not in told
    assert re.search(r"<strong>2</strong> were accepted or made this time", told)
    assert [lab.statuses(uid)[0] for uid in uids] == ["DISPATCHED", "DISPATCHED"]
    assert failing_now(lab) == 0


def test_a_test_of_one_address_is_not_sent_to_the_others(browser: Browser, lab: Desk) -> None:
    browser.send(f"{lab.home}/recipients/X_TWO/test", endpoint="EMAIL night@lab.example")
    lab.finish(S.FAILED, "550 5.1.1 User unknown")
    with lab.lab.database.read() as session:
        (uid,) = (one.notification for one in failing.now(session, lab.lab.service_id))
    again.send_again(lab.lab.service_id, uid, BY)
    assert rows(lab.lab.database) == [("night@lab.example", "QUEUED")]


def test_a_viewer_sees_what_would_go_and_sends_nothing(browser: Browser, lab: Desk) -> None:
    failed(lab, "S-1")
    user(lab.lab.database, "vera@lab.example", member_of=lab.lab.service_id, role="viewer")
    browser.send("/portal/sign-out")
    browser.sign_in("vera@lab.example")
    group = f"{lab.home}/failures/{key_of(lab)}"
    assert f'action="{group}/again"' not in browser.get(group).text
    assert browser.send(f"{group}/again").status_code == 403


def test_a_batch_and_a_group_of_its_members_on_both_databases(
    any_database: Database, moving_clock: MovableClock
) -> None:
    lab = desk(any_database)
    members = lab.buffer("S-1", "S-2", recipient=["X_TWO"])
    moving_clock.forward(hours=1)
    lab.dispatch()
    lab.finish(S.FAILED, "550 5.1.1 User unknown")
    single = failed(lab, "S-3")
    lab.lab.recipient("X_TWO", ("EMAIL", NEW))
    lab.lab.recipient("X_MOVED", ("EMAIL", NEW))
    service_id = lab.lab.service_id
    with any_database.read() as session:
        keys = [one.key for one in failing.now(session, service_id)]
    assert len(keys) == 2
    looks = [preview.of(service_id, key) for key in keys]
    assert sorted(look.messages for look in looks if look) == [1, 1]
    reports = [send.send(service_id, key, BY) for key in keys]
    with any_database.read() as session:
        told = [report.of(session, service_id, uid) for uid in reports if uid]
        assert [one.went for one in told if one] == [1, 1]
        assert failing.now(session, service_id) == []
    lab.finish(S.SENT, "250 Ok")
    assert {lab.statuses(uid)[0] for uid in (*members, *single)} == {"SENT"}


def test_reports_go_with_what_they_are_about(lab: Desk, moving_clock: MovableClock) -> None:
    (uid,) = failed(lab, "S-1")
    again.send_again(lab.lab.service_id, uid, BY)
    lab.finish(S.SENT, "250 Ok")
    moving_clock.forward(days=settings.current().retention_days + 1)
    with lab.lab.database.transaction() as session:
        assert retention.purge_notifications(session, retention.old_notifications(session)) == 1
        assert (session.scalars(select(Resend)).all(), session.scalars(select(ResendItem)).all()) == ([], [])


def test_what_a_worker_holds_is_not_taken_from_it(lab: Desk) -> None:
    (uid,) = failed(lab, "S-1")
    with lab.lab.database.transaction() as session:
        session.execute(update(Delivery).values(claimed_by="worker-1"))
    assert again.send_again(lab.lab.service_id, uid, BY).messages == []
    assert rows(lab.lab.database) == [(OLD, "FAILED")]
