"""Partials in the portal: begun as such, published with what is made with them, kept while something is."""

import pytest

from backend.api.templates import published
from backend.db.database import Database
from backend.registry import drafts
from backend.registry.drafts import Key
from backend.registry.templates import TemplateContent
from tests.factories import Laboratory, laboratory
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import user
from tests.portal.test_template_pages import address, current


@pytest.fixture
def lab(database: Database, browser: Browser) -> Laboratory:
    """Give a service with a letter that is made with a line, and its editor signed in."""
    made = laboratory(database)
    user(database, member_of=made.service_id, role="editor")
    browser.sign_in()
    line = TemplateContent(name="Line", kind="partial", format="html", source="<p>Line</p>")
    published(made.service_id, "tests", "X_LINE", line)
    sample = {"name": "Ada"}
    letter = TemplateContent(
        name="Letter", format="html", source="{{ name }} {% include 'X_LINE' %}", sample_fields=sample
    )
    published(made.service_id, "tests", "X_LETTER", letter)
    return made


def draft(lab: Laboratory, source: str) -> None:
    with lab.database.transaction() as session:
        key = Key(lab.service_id, "X_LINE")
        present = drafts.working(session, key)
        text = TemplateContent(name="Line", kind="partial", format="html", source=source)
        drafts.save(session, key, text, present.revision, "ada@lab.example")


def test_what_changes_is_shown_and_published_together(browser: Browser, lab: Laboratory) -> None:
    draft(lab, "<p>Other words</p>")
    page = browser.get(address(lab, "/X_LINE/publish")).text
    assert "X_LETTER" in page
    assert page.index("<h4>Before</h4><pre>Ada\n\nLine") < page.index("<h4>After</h4><pre>Ada\n\nOther words")
    browser.send(address(lab, "/X_LINE/publish"), revision="1")
    assert (current(lab, "X_LINE").version, current(lab, "X_LETTER").version) == (2, 2)


def test_what_breaks_another_is_published_for_none(browser: Browser, lab: Laboratory) -> None:
    draft(lab, "<p>{{ nobody }}</p>")
    answer = browser.send(address(lab, "/X_LINE/publish"), revision="1", anyway="yes")
    assert answer.status_code == 422
    assert "It would break what is made with it: X_LETTER." in answer.text
    assert "Would break" in answer.text
    assert (current(lab, "X_LINE").version, current(lab, "X_LETTER").version) == (1, 1)


def test_what_is_used_is_not_deleted_and_the_list_says_what_is_a_partial(browser: Browser, lab: Laboratory) -> None:
    assert "Partial" in browser.get(address(lab)).text
    assert "It cannot be deleted now:" in browser.get(address(lab, "/X_LINE/delete")).text
    answer = browser.send(address(lab, "/X_LINE/delete"), identifier="X_LINE")
    assert answer.status_code == 422
    assert "X_LETTER is made with X_LINE" in answer.text
    assert current(lab, "X_LINE").version == 1


def test_an_old_version_is_shown_with_the_partials_that_it_was_published_with(
    browser: Browser, lab: Laboratory
) -> None:
    draft(lab, "<p>Other words</p>")
    browser.send(address(lab, "/X_LINE/publish"), revision="1")
    for version, line in (("1", "Line"), ("2", "Other words")):
        assert f"Ada\n\n{line}" in browser.get(address(lab, f"/X_LETTER/versions/{version}")).text
        framed = browser.get(address(lab, f"/X_LETTER/versions/{version}/frame")).text
        assert framed == f"Ada <p>{line}</p>"
    compared = browser.get(address(lab, "/X_LETTER/compare?old=1&new=2&view=rendered")).text
    for which in ("versions/1", "versions/2"):
        assert f"/X_LETTER/{which}/frame" in compared
    with lab.database.transaction() as session:
        key = Key(lab.service_id, "X_LETTER")
        present = drafts.working(session, key)
        text = TemplateContent(name="Letter", format="html", source="Dear {{ name }} {% include 'X_LINE' %}")
        drafts.save(session, key, text, present.revision, "ada@lab.example")
    assert browser.get(address(lab, "/X_LETTER/versions/draft/frame")).text == "Dear Ada <p>Other words</p>"
