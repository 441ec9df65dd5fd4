"""What a service chooses beside its windows: who gets the tickets of its worklist, what becomes of equal texts."""

import pytest
from sqlalchemy import select

from backend.db.database import Database
from backend.db.models.audit import AuditEntry
from backend.intake import escalation, worklist_tickets
from backend.intake.accept import accept_many
from backend.lib import settings
from backend.registry import sending_rules
from backend.registry.sending import SERVICE, EqualTexts, Rule, Subject
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory, notification
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import user


@pytest.fixture
def lab(database: Database, browser: Browser) -> Laboratory:
    """Give a service with a service desk, looked at by its administrator."""
    made = laboratory(database)
    made.recipient("X_DESK", ("FRESHSERVICE", "desk@lab.example"))
    user(database, member_of=made.service_id, role="admin")
    browser.sign_in()
    return made


def own(lab: Laboratory, rest: str = "settings") -> str:
    return f"/portal/services/{lab.service_id}/{rest}"


def rule(lab: Laboratory, subject: Subject = SERVICE) -> Rule:
    with lab.database.read() as session:
        return sending_rules.present(session, lab.service_id, subject)


def test_who_gets_the_tickets_is_set_and_they_stand_on_the_worklist(
    lab: Laboratory, browser: Browser, moving_clock: MovableClock
) -> None:
    wrong = browser.send(own(lab, "settings/worklist-ticket"), worklist_ticket="X_LAB")
    assert (wrong.status_code, "has no FRESHSERVICE endpoint" in wrong.text) == (422, True)
    assert 'value="X_LAB"' in wrong.text
    browser.send(own(lab, "settings/worklist-ticket"), worklist_ticket="X_DESK")
    assert rule(lab).worklist_ticket == "X_DESK"
    assert 'value="X_DESK"' in browser.get(own(lab, "settings/sending")).text
    with lab.database.read() as session:
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.action == "sending_rules.changed")).all()
    assert entry.detail == {"worklist_ticket": "X_DESK"}

    body = notification() | {"obligation": {"until": "acknowledged", "steps": [{"after": "1h", "channels": []}]}}
    (outcome,) = accept_many([lab.submission(body)], lambda _new: None)
    moving_clock.forward(hours=1)
    escalation.escalate.run()
    assert "Ticket on its way" in browser.get(own(lab, "worklist")).text
    worklist_tickets.make.run()
    names, row = browser.get(own(lab, "worklist.csv")).text.splitlines()
    listed = dict(zip(names.lstrip("\ufeff").split(","), row.split(","), strict=True))
    assert (listed["notification_id"], listed["ticket_detail"]) == (outcome.notification_id, "on its way")
    link = listed["ticket_link"].removeprefix(settings.current().base_url)
    assert f'href="{link}"' in browser.get(own(lab, "worklist")).text
    assert "Nobody has answered" in browser.get(link).text
    page = browser.get(own(lab, f"notifications/{outcome.notification_id}")).text
    assert "Ticket for the worklist" in page
    assert "To the worklist" in page


def test_what_becomes_of_equal_texts_is_set_for_the_service_and_a_template(lab: Laboratory, browser: Browser) -> None:
    template = Subject("template", "X_SAMPLE")
    browser.send(own(lab, "settings/equal-texts"), then="refuse")
    assert rule(lab).equal_texts == EqualTexts(then="refuse")
    wrong = browser.send(own(lab, "templates/X_SAMPLE/equal-texts"), then="digest")
    assert (wrong.status_code, "A digest needs a digest_template" in wrong.text) == (422, True)
    browser.send(own(lab, "templates/X_SAMPLE/equal-texts"), then="digest", digest_template="X_SAMPLE")
    assert rule(lab, template).equal_texts == EqualTexts(then="digest", digest_template="X_SAMPLE")
    browser.send(own(lab, "settings/equal-texts"), then="wait")
    assert rule(lab).equal_texts is None
