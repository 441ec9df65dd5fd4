"""What was mended leaves "Failing now" on Home, whichever way it was mended, alone or in a group, and stays away."""

import re
from uuid import UUID

import pytest

from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.notifications import DeliveryStatus
from backend.registry import suppressions
from tests.factories import notification
from tests.portal.conftest import Browser
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import user

S = DeliveryStatus
GONE = "550 5.1.1 User unknown"
OLD = "old.office@lab.example"


@pytest.fixture
def lab(browser: Browser, database: Database) -> Desk:
    made = desk(database)
    user(database, member_of=made.lab.service_id, role="editor")
    browser.sign_in()
    return made


def failing(browser: Browser, lab: Desk) -> list[str]:
    """Return the addresses of the groups that Home shows, in its page and in its own refresh."""
    page = browser.get(lab.home).text
    refresh = page.partition('hx-get="')[2].partition("latest=")[0].replace("&amp;", "&")
    part = browser.get(f"{refresh}latest=old", **{"HX-Request": "true"}).text
    pattern = r'id="mend-\d+" href="([^"]+/failures/[0-9a-f]+)"'
    found = re.findall(pattern, page)
    assert re.findall(pattern, part) == found
    assert ("Failing now" in page) is bool(found)
    return found


def fail(lab: Desk, *samples: str, recipient: str = "X_MOVED") -> list[UUID]:
    uids = [lab.accept(sample, recipient=[recipient]) for sample in samples]
    lab.finish(S.FAILED, GONE)
    return uids


def deliver(lab: Desk) -> None:
    lab.finish(S.SENT, "250 Ok")


def test_sent_again_with_success_one_by_one_and_as_a_group(browser: Browser, lab: Desk) -> None:
    lab.lab.recipient("X_MOVED", ("EMAIL", OLD))
    first, *_ = fail(lab, "S-1", "S-2", "S-3")
    (group,) = failing(browser, lab)
    browser.send(f"{lab.home}/notifications/{first}/again")
    deliver(lab)
    assert "2 ×" in browser.get(lab.home).text
    browser.send(f"{group}/again")
    assert failing(browser, lab) == []
    lab.finish(S.FAILED, GONE)  # it was not mended after all
    (group,) = failing(browser, lab)
    assert "2 ×" in browser.get(lab.home).text
    browser.send(f"{group}/again")
    deliver(lab)
    assert failing(browser, lab) == []
    assert browser.get(group).status_code == 404


def test_one_of_several_messages(browser: Browser, lab: Desk) -> None:
    uid = lab.accept("S-1", recipient=["X_TWO"])
    lab.finish(S.SENT, "250 Ok", most=1)
    lab.finish(S.FAILED, GONE)
    assert lab.statuses(uid)[0] == "PARTIAL"
    (group,) = failing(browser, lab)
    browser.send(f"{group}/again")
    deliver(lab)
    assert (failing(browser, lab), lab.statuses(uid)[0]) == ([], "SENT")


def test_a_suppression_lifted_and_sent_again(browser: Browser, lab: Desk) -> None:
    lab.lab.recipient("X_MOVED", ("EMAIL", OLD))
    fail(lab, "S-1", "S-2")
    with lab.lab.database.transaction() as session:
        suppressions.suppress(session, lab.lab.service_id, Channel.EMAIL, OLD, reason="bounced", detail=GONE)
    (group,) = failing(browser, lab)
    browser.send(f"{group}/again")
    assert failing(browser, lab) == [group]
    browser.send(f"{lab.home}/suppressions/free", channel="EMAIL", address=OLD)
    browser.send(f"{group}/again")
    deliver(lab)
    assert failing(browser, lab) == []


def test_a_new_version_of_the_template(browser: Browser, lab: Desk) -> None:
    lab.lab.template("X_SAMPLE", "<p>{{ fields.volume }}</p>")
    uids = [lab.accept("S-1"), lab.accept("S-2")]
    assert [lab.statuses(uid)[0] for uid in uids] == ["FAILED", "FAILED"]
    (group,) = failing(browser, lab)
    browser.send(f"{group}/again")
    assert failing(browser, lab) == [group]
    lab.lab.template("X_SAMPLE", "<p>{{ fields.volume | default('none') }}</p>")
    browser.send(f"{group}/again")
    assert failing(browser, lab) == []
    deliver(lab)
    assert (failing(browser, lab), [lab.statuses(uid)[0] for uid in uids]) == ([], ["SENT", "SENT"])


def test_a_recipient_registered_and_the_same_asked_for_again(browser: Browser, lab: Desk) -> None:
    body = notification("S-1", recipient=["X_LATER"])
    uid = lab.submit(body)
    assert len(failing(browser, lab)) == 1
    lab.lab.recipient("X_LATER", ("EMAIL", OLD))
    assert lab.submit(body) == uid
    assert failing(browser, lab) == []
    deliver(lab)
    assert failing(browser, lab) == []


def test_a_batch(browser: Browser, lab: Desk) -> None:
    members = lab.buffer("S-1", "S-2", recipient=["X_TWO"])
    (batch,) = re.findall(rf'href="({lab.home}/batches/[0-9a-f-]{{36}})"', browser.get(f"{lab.home}/batches").text)
    browser.send(f"{batch}/flush")
    lab.finish(S.FAILED, GONE)
    assert len(failing(browser, lab)) == 1
    browser.send(f"{batch}/again")
    deliver(lab)
    assert (failing(browser, lab), {lab.statuses(uid)[0] for uid in members}) == ([], {"SENT"})
