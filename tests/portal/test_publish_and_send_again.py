"""The publish page tries what failed, and publishes and sends that again in one step."""

import pytest
from sqlalchemy import func, select

from backend.db.database import Database
from backend.db.models.audit import AuditEntry
from backend.db.models.notifications import Delivery, Notification
from backend.db.models.resends import Resend
from backend.intake.accept import accept_many
from backend.intake.entries import Refused
from backend.registry import drafts, policies, templates
from backend.registry.drafts import Key
from backend.registry.policies import PolicyContent
from backend.registry.templates import TemplateContent
from tests.factories import Laboratory, laboratory, notification
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import user

NEEDY = "<p>{{ fields.sample_id }} {{ fields.volume }}</p>"


@pytest.fixture
def lab(database: Database, browser: Browser) -> Laboratory:
    """Give a service whose template refuses what its client sends, with a draft that would not."""
    made = laboratory(database)
    made.template("X_SAMPLE", NEEDY)
    user(database, member_of=made.service_id, role="editor")
    browser.sign_in()
    for sample in ("S-1", "S-2"):
        accept_many([made.submission(notification(sample))], lambda _priorities: None)
    accept_many([made.submission(notification("S-3", recipient=["X_NOBODY"]))], lambda _priorities: None)
    draft(made, NEEDY.replace(".volume", ".volume | default('none')"))
    return made


def draft(lab: Laboratory, source: str) -> None:
    with lab.database.transaction() as session:
        key = Key(lab.service_id, "X_SAMPLE")
        present = drafts.working(session, key)
        drafts.save(session, key, TemplateContent(name="X", format="html", source=source), present.revision, "ada")


def address(lab: Laboratory) -> str:
    return f"/portal/services/{lab.service_id}/templates/X_SAMPLE/publish"


def count(lab: Laboratory, model: type) -> int:
    with lab.database.read() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def test_the_page_says_how_many_that_failed_would_now_go(browser: Browser, lab: Laboratory) -> None:
    page = browser.get(address(lab)).text
    assert "2 of 3 that failed within the last week would now go." in page
    assert "Publish, and send those 2 again" in page
    assert "No recipient &#39;X_NOBODY&#39; is registered" in page
    assert count(lab, Delivery) == 0
    draft(lab, "<p>{{ fields.sample_id }} {{ fields.volume }}!</p>")
    page = browser.get(address(lab)).text
    assert "None of the 3 messages that it could not make within the last week would go now" in page
    assert "again</button>" not in page


def test_what_was_sent_by_a_policy_is_tried_too(browser: Browser, lab: Laboratory) -> None:
    channel = {"type": "EMAIL", "recipient": ["X_LAB"], "subject": "A sample"}
    steps = [{"after": after, "channels": [channel]} for after in ("0s", "30m")]
    with lab.database.transaction() as session:
        on_call = PolicyContent(name="On call", until="acknowledged", steps=steps)
        policies.put(session, lab.service_id, "X_ON_CALL", on_call)
    body = {"policy_id": "X_ON_CALL", "template_id": "X_SAMPLE", "fields": {"sample_id": "S-4"}, "priority": "NORMAL"}
    (outcome,) = accept_many([lab.submission(body)], lambda _priorities: None)
    assert isinstance(outcome, Refused)
    assert "3 of 4 that failed within the last week would now go." in browser.get(address(lab)).text


def test_publishing_alone_sends_nothing(browser: Browser, lab: Laboratory) -> None:
    browser.send(address(lab), revision="1")
    assert (count(lab, Delivery), count(lab, Resend)) == (0, 0)


def test_it_is_published_first_then_what_would_go_is_sent_and_reported(browser: Browser, lab: Laboratory) -> None:
    answer = browser.send(address(lab), revision="1", again="yes")
    assert "/sent-again/" in answer.headers["location"]
    page = browser.led(answer)
    assert "Version 3 is published: messages are made from it from now on." in page
    assert "What X_SAMPLE could not make before its version 3." in page
    assert "<strong>2</strong> were accepted or made this time." in page
    second = browser.send(address(lab), revision="1", again="yes")
    assert second.status_code == 409
    assert (count(lab, Delivery), count(lab, Resend)) == (2, 1)
    with lab.database.read() as session:
        assert templates.get(session, lab.service_id, "X_SAMPLE").version == 3
        statuses = session.scalars(select(Notification.status).order_by(Notification.id)).all()
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert statuses == ["DISPATCHED", "DISPATCHED", "FAILED"]
    assert actions[-4:] == ["template.published", *["notification.judged_again"] * 2, "failures.sent_again"]


def test_a_draft_that_changed_meanwhile_publishes_and_sends_nothing(browser: Browser, lab: Laboratory) -> None:
    draft(lab, "<p>Another {{ fields.sample_id }}</p>")
    assert browser.send(address(lab), revision="1", again="yes").status_code == 409
    assert count(lab, Delivery) == 0


def test_a_viewer_sends_nothing_again(browser: Browser, lab: Laboratory) -> None:
    user(lab.database, "eve@lab.example", member_of=lab.service_id)
    browser.client.cookies.clear()
    browser.sign_in("eve@lab.example")
    assert browser.send(address(lab), revision="1", again="yes").status_code == 403
    assert count(lab, Delivery) == 0
