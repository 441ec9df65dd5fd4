"""The language of a service's messages and the layout of its e-mails in the portal: shown first, then done."""

import re

import pytest

from backend.api.templates import published
from backend.db.database import Database
from backend.registry.templates import TemplateContent
from tests.factories import Laboratory, laboratory
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import user
from tests.portal.test_template_pages import current

LAYOUT = "<html><body><h1>Aurora</h1>{% block content %}{% endblock %}</body></html>"


@pytest.fixture
def lab(database: Database, browser: Browser) -> Laboratory:
    """Give a service with a Markdown template and a layout, and its administrator signed in."""
    made = laboratory(database)
    user(database, member_of=made.service_id, role="admin")
    browser.sign_in()
    put(made, "X_NOTE", "{{ n|number }} *samples*", sample_fields={"n": 1.5})
    put(made, "X_OWN", LAYOUT, kind="layout", format="html")
    return made


def put(lab: Laboratory, identifier: str, source: str, **more: object) -> None:
    values = {"name": identifier.title(), "format": "markdown", "source": source, **more}
    published(lab.service_id, "tests", identifier, TemplateContent(**values))  # type: ignore[arg-type] # of each its own


def address(lab: Laboratory, rest: str = "/messages") -> str:
    return f"/portal/services/{lab.service_id}/settings{rest}"


def seen(page: str) -> str:
    found = re.search(r'name="seen" value="(\w+)"', page)
    assert found is not None
    return found[1]


def test_a_change_is_shown_with_both_looks_and_done_when_it_was_seen(browser: Browser, lab: Laboratory) -> None:
    assert '<option value="en" selected>English</option>' in browser.get(address(lab)).text
    form = {"language": "de-CH", "mail_layout": "X_OWN"}
    shown = browser.send(address(lab), **form)
    assert shown.status_code == 200
    assert "3 templates are published anew with this" in shown.text
    assert "<h4>Before</h4><pre>1.5 samples</pre>" not in shown.text, "its text stays as it is"
    frames = re.findall(r'title="X_NOTE (\w+) as HTML" src="([^"]+)"', shown.text)
    assert [which for which, _ in frames] == ["before", "after"]
    before, after = (browser.get(source).text for _, source in frames)
    assert 'lang="en"' in before
    assert '<html lang="de-CH"' in after
    assert "<h1>Aurora</h1>" in after
    assert current(lab, "X_NOTE").version == 1

    done = browser.send(address(lab), **form, seen=seen(shown.text))
    assert done.status_code == 303
    assert (current(lab, "X_NOTE").version, current(lab, "X_NOTE").pins.mail_layout) == (2, "X_OWN")
    page = browser.get(address(lab, "")).text
    assert "German (Switzerland)" in page
    assert "<code>X_OWN</code>" in page
    assert browser.send(address(lab), **form).status_code == 303, "there is nothing left to change"


def test_what_changed_meanwhile_is_looked_at_again(browser: Browser, lab: Laboratory) -> None:
    form = {"language": "fr", "mail_layout": ""}
    mark = seen(browser.send(address(lab), **form).text)
    put(lab, "X_NOTE", "other", sample_fields={})
    answer = browser.send(address(lab), **form, seen=mark)
    assert answer.status_code == 409
    assert "A template has changed meanwhile." in answer.text
    assert current(lab, "X_NOTE").pins.language == "en"


def test_what_would_break_is_named_and_nothing_is_saved(browser: Browser, lab: Laboratory) -> None:
    put(lab, "X_ASKS", LAYOUT.replace("Aurora", "{{ day }}"), kind="layout", format="html")
    answer = browser.send(address(lab), language="en", mail_layout="X_ASKS")
    assert answer.status_code == 422
    assert "The field &#39;day&#39; is missing (line 1 of &#39;X_ASKS&#39;)." in answer.text
    assert 'name="seen"' not in answer.text


def test_a_fault_stands_at_its_field(browser: Browser, lab: Laboratory) -> None:
    put(lab, "X_EMPTY", "<html></html>", kind="layout", format="html")
    answer = browser.send(address(lab), language="xx", mail_layout="")
    assert answer.status_code == 422
    assert "There is no language &#39;xx&#39;." in answer.text
    answer = browser.send(address(lab), language="en", mail_layout="X_EMPTY")
    assert "has no block named &#39;content&#39;" in answer.text


def test_who_may_not_administer_reads_it_alone(browser: Browser, lab: Laboratory, database: Database) -> None:
    user(database, "eve@lab.example", member_of=lab.service_id, role="editor")
    browser.sign_in("eve@lab.example")
    assert "Language and layout" in browser.get(address(lab, "")).text
    assert browser.get(address(lab)).status_code == 403
