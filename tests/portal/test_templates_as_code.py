"""Templates that are kept as code: where they come from, edits by hand, and the lock that administrators open."""

import msgspec
import pytest

from backend.accounts.audit import Actor
from backend.db.database import Database
from backend.db.models.registry import Template
from backend.lib.fair_pool import Share
from backend.publishing import change_set, publish_changes
from backend.publishing.change_set import Wanted, WantedTemplate
from backend.registry import drafts, templates
from backend.registry.drafts import Key
from backend.registry.provenance import Provenance
from backend.registry.templates import TemplateContent
from tests.factories import Laboratory, laboratory
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import user
from tests.portal.test_template_pages import address, audited, current

PART = TemplateContent(name="Part", kind="partial", format="html", source="<b>part</b>")
WHOLE = TemplateContent(name="Whole", format="html", source="<p>{% include 'X_PART' %}</p>", sample_fields={})
SAID = Provenance(note="Say it", by_code=True, commit="abc123def456", repository="https://git.example/templates.git")


def push(lab: Laboratory, *wanted: WantedTemplate) -> None:
    everything = Wanted(templates=wanted, recipients=[], gone_templates=[], gone_recipients=[], said=SAID)
    with lab.database.read() as session:
        planned = change_set.plan(session, lab.service_id, everything)
    publish_changes.check(planned, Share(lab.service_id))
    with lab.database.transaction() as session:
        publish_changes.put(session, lab.service_id, planned, Actor("client", "pusher"))


def pushed(database: Database, browser: Browser, role: str) -> Laboratory:
    made = laboratory(database)
    push(made, WantedTemplate("X_PART", PART), WantedTemplate("X_WHOLE", WHOLE, locked=True))
    user(database, member_of=made.service_id, role=role)  # type: ignore[arg-type]
    browser.sign_in()
    return made


@pytest.fixture
def lab(database: Database, browser: Browser) -> Laboratory:
    """Give a service with a partial and a locked template of code, and its editor signed in."""
    return pushed(database, browser, "editor")


def test_the_pages_say_where_a_template_comes_from_and_who_locked_it(browser: Browser, lab: Laboratory) -> None:
    led = browser.client.get(address(lab, "/X_WHOLE"))
    assert led.url.path.endswith("/X_WHOLE/versions/1")
    repository = "https://git.example/templates.git"
    for said in ("published by code from commit", "abc123def456", repository, "pusher", "Say it"):
        assert said in led.text
    assert "Open the editor" not in led.text
    assert "/unlock" not in led.text
    assert "Say it" in browser.client.get(address(lab, "/X_WHOLE/versions")).text
    assert "Kept as code" in browser.client.get(address(lab)).text


@pytest.mark.parametrize(
    ("rest", "form"),
    [
        ("", {"source": "<p>x</p>", "name": "Whole", "format": "html", "revision": "0"}),
        ("/publish", {"revision": "1"}),
        ("/delete", {"identifier": "X_WHOLE"}),
        ("/roll-back", {"version": "1"}),
    ],
)
def test_what_is_locked_is_not_changed_here(browser: Browser, lab: Laboratory, rest: str, form: dict[str, str]) -> None:
    before = audited(lab)
    refused = browser.send(address(lab, f"/X_WHOLE{rest}"), **form)
    assert refused.status_code == 409
    assert "X_WHOLE is kept as code and locked" in refused.text
    assert audited(lab) == before
    assert browser.send(address(lab, "/X_WHOLE/unlock")).status_code == 403


def test_a_partial_of_what_is_locked_is_not_published_here(browser: Browser, lab: Laboratory) -> None:
    with lab.database.transaction() as session:
        other = msgspec.structs.replace(PART, source="<b>other</b>")
        drafts.save(session, Key(lab.service_id, "X_PART"), other, 0, "ada@lab.example")
    refused = browser.send(address(lab, "/X_PART/publish"), revision="1")
    assert (refused.status_code, "is locked for its repository: X_WHOLE" in refused.text) == (422, True)
    assert current(lab, "X_WHOLE").version == 1


def test_an_administrator_unlocks_it_and_an_edit_by_hand_is_told(database: Database, browser: Browser) -> None:
    lab = pushed(database, browser, "admin")
    assert "/unlock" in browser.client.get(address(lab, "/X_WHOLE")).text
    browser.send(address(lab, "/X_WHOLE/unlock"))
    assert audited(lab)[-1] == "template.unlocked"
    with database.transaction() as session:
        by_hand = TemplateContent(name="Whole", format="html", source="<p>by hand</p>")
        templates.put(session, lab.service_id, "X_WHOLE", by_hand, "ada@lab.example")
    editor = browser.client.get(address(lab, "/X_WHOLE"))
    assert editor.url.path.endswith("/X_WHOLE")
    assert "edited by hand since" in editor.text
    assert "version 2 by ada@lab.example" in editor.text
    push(lab, WantedTemplate("X_PART", PART), WantedTemplate("X_WHOLE", WHOLE, locked=True))
    with database.read() as session:
        row = session.query(Template).filter_by(identifier="X_WHOLE").one()
        assert (row.current_version, row.locked_by) == (3, "pusher")
