"""A template's languages in the editor, by keyboard and mouse: added, written with a live preview, published."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from backend.registry import templates
from e2e.opened_pages import NARROW, WIDE, fits, picture
from e2e.site import Site, sign_in
from tests.factories import Laboratory, laboratory
from tests.portal.people_and_messages import user

OpenPage = Callable[..., Page]
Axe = Callable[[Page], None]


@pytest.fixture
def lab(site: Site) -> Laboratory:
    made = laboratory(site.database)
    source = "<p>Sample {{ sample_id }}: {{ share | number(1) }}</p>"
    made.template("X_RESULT", source, subject="Sample", sample_fields={"sample_id": "S-1", "share": 1234.5})
    user(site.database, member_of=made.service_id, role="editor")
    return made


def test_a_language_is_added_written_and_published(site: Site, lab: Laboratory, open_page: OpenPage, axe: Axe) -> None:
    page = open_page(viewport=WIDE, reduced_motion="reduce")
    sign_in(page, site, address=f"/portal/services/{lab.service_id}/templates/X_RESULT")
    page.get_by_text("English alone: add a language").click()
    page.get_by_label("The same text in").select_option("German")
    page.get_by_role("button", name="Add", exact=True).press("Enter")
    page.wait_for_url("**variant=de")
    german = page.get_by_role("button", name="German", exact=True)
    expect(german).to_have_attribute("aria-current", "true")
    frame = page.frame_locator("#frame")
    expect(frame.get_by_text("Sample S-1: 1.234,5")).to_be_visible()

    # Typing saves and previews this text alone; a field that is left out is told.
    page.evaluate("ace.edit('code').setValue('<p>Probe {{ sample_id }}</p>', 1)")
    expect(frame.get_by_text("Probe S-1")).to_be_visible()
    expect(page.locator("#problems")).to_contain_text("It does not use share")
    page.get_by_label("Subject").fill("Probe")
    axe(page)
    picture(page, "template-languages")
    page.set_viewport_size(NARROW)
    fits(page)
    page.set_viewport_size(WIDE)
    page.get_by_role("button", name="English").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/X_RESULT")
    expect(page.frame_locator("#frame").get_by_text("Sample S-1: 1,234.5")).to_be_visible()

    page.get_by_role("button", name="Publish version 2…").click()
    expect(page.get_by_text("German: a new text.")).to_be_visible()
    axe(page)
    page.get_by_role("button", name="Publish version 2").click()
    expect(page.get_by_text("Version 2 is published:")).to_be_visible()
    with site.database.read() as session:
        content = templates.get(session, lab.service_id, "X_RESULT").content
    assert (content.language, content.variants["de"].subject) == ("en", "Probe")
    assert content.variants["de"].source == "<p>Probe {{ sample_id }}</p>"
