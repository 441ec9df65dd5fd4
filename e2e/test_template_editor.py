"""A template's way in a browser: from a file through the live preview to publication, alone and with others."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from backend.registry import drafts, templates
from backend.registry.drafts import Key
from e2e.opened_pages import NARROW, WIDE, fits, picture
from e2e.site import Site, sign_in
from tests.factories import Laboratory, laboratory
from tests.portal.people_and_messages import user

OpenPage = Callable[..., Page]
Axe = Callable[[Page], None]

MJML = """<mjml>
  <mj-body>
    <mj-section><mj-column>
      <mj-text font-size="20px">Sample {{ sample_id }}</mj-text>
      {% for line in lines %}
      <mj-text>{{ line }}</mj-text>
      {% endfor %}
      <mj-text>The last line</mj-text>
    </mj-column></mj-section>
  </mj-body>
</mjml>
"""
SAMPLE = (
    '{"sample_id": "40STDY1", "lines": [' + ", ".join(f'"Line {number} of the report"' for number in range(40)) + "]}"
)


@pytest.fixture
def lab(site: Site) -> Laboratory:
    made = laboratory(site.database)
    user(site.database, member_of=made.service_id, role="editor")
    return made


def address(lab: Laboratory, rest: str = "") -> str:
    return f"/portal/services/{lab.service_id}/templates{rest}"


def write(page: Page, text: str, *, at: tuple[int, int]) -> None:
    """Type into the code at a line and column, both from 0."""
    page.evaluate("([row, column]) => { const e = ace.edit('code'); e.focus(); e.moveCursorTo(row, column); }", [*at])
    page.keyboard.type(text)


def message(page: Page) -> Any:
    return page.frame_locator("#frame")


def test_from_a_file_through_the_live_preview_to_publication(
    site: Site, lab: Laboratory, open_page: OpenPage, axe: Axe
) -> None:
    page = open_page(viewport=WIDE, reduced_motion="reduce")
    sign_in(page, site, address=address(lab, "/new"))
    page.locator("#file").set_input_files(
        {"name": "sample_report.txt", "mimeType": "text/plain", "buffer": MJML.encode()}
    )
    expect(page.get_by_label("Upload a file")).to_be_checked()
    page.get_by_role("button", name="Open in the editor").click()

    # The format was seen from the content, the identifier made of the file's name.
    page.wait_for_url("**/SAMPLE_REPORT")
    expect(page.locator("#format")).to_have_value("mjml")
    problem = page.locator("#problems .problem-error")
    expect(problem).to_contain_text("the field 'sample_id' is missing")
    expect(page.locator(".ace_gutter-cell.ace_error")).to_have_text("4")
    page.get_by_label("Fields, as JSON").fill('{"sample_id": "40STDY1",}')
    expect(page.locator("#sample-fault")).to_contain_text("line 1, column 25")
    page.get_by_label("Fields, as JSON").fill(SAMPLE)
    expect(page.locator("#problems")).to_contain_text("No problems found")
    expect(message(page).get_by_text("Sample 40STDY1")).to_be_visible()
    assert page.locator("#frame").get_attribute("sandbox") == "allow-popups allow-popups-to-escape-sandbox"

    # Typing: every key arrives, the preview follows without a request for each key and keeps its place.
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/preview") else None)
    page.evaluate("document.getElementById('stage').scrollTop = 400")
    write(page, " and a sentence that is typed quickly", at=(3, 54))
    expect(message(page).get_by_text("Sample 40STDY1 and a sentence that is typed quickly")).to_be_attached()
    assert page.evaluate("document.getElementById('stage').scrollTop") == 400
    assert 1 <= len(asked) <= 18, "one request for many keys"

    # A fault is marked on its line and announced; the last message that worked stays in sight.
    write(page, "{{ ", at=(7, 15))
    expect(page.locator(".ace_gutter-cell.ace_error")).to_have_text("8")
    expect(page.locator("#news")).to_contain_text("Line 8")
    expect(page.get_by_text("how the message looked before the problem")).to_be_visible()
    picture(page, "template-editor-fault")
    axe(page)
    for _ in range(3):
        page.keyboard.press("Backspace")
    expect(page.locator("#problems")).to_contain_text("No problems found")

    page.keyboard.press("Control+s")
    expect(page.locator("#news")).to_have_text("The draft is saved.")
    picture(page, "template-editor")
    page.get_by_role("button", name="Publish version 1…").click()
    expect(page.get_by_role("heading", name="Publish version 1")).to_be_visible()
    page.get_by_role("button", name="Publish version 1", exact=True).click()
    expect(page.get_by_text("Version 1 is published: messages are made from it from now on.")).to_be_visible()
    with site.database.read() as session:
        record = templates.get(session, lab.service_id, "SAMPLE_REPORT")
    assert "typed quickly" in record.content.source
    assert record.content.sample_fields is None


def test_an_answer_that_comes_late_is_dropped_and_each_view_shows_its_rendition(
    site: Site, lab: Laboratory, open_page: OpenPage
) -> None:
    lab.template("X_NOTE", "<p>Hello</p>", subject="Note for {{ name }}", sample_fields={"name": "Ada"})
    page = open_page(viewport=WIDE)
    sign_in(page, site, address=address(lab, "/X_NOTE"))
    late: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if late:
            route.continue_()
        else:
            late.append(route)

    page.route("**/preview", hold_the_first)
    write(page, "<p>First</p>", at=(0, 0))
    page.wait_for_event("request", lambda request: request.url.endswith("/preview"))
    write(page, "<p>Second</p>", at=(0, 0))
    expect(message(page).get_by_text("Second")).to_be_visible()
    late[0].fulfill(status=200, body='<section id="problems">late</section><div id="panes">late</div>')
    page.get_by_role("radio", name="Text").check()
    expect(page.get_by_label("The message as text")).to_contain_text("Second")
    expect(page.locator("#problems")).not_to_contain_text("late")
    page.get_by_role("radio", name="Slack").check()
    expect(page.get_by_role("region", name="The message in Slack")).to_contain_text("Note for Ada")
    page.get_by_role("radio", name="SMS").check()
    expect(page.get_by_text("1 part of a text message in GSM-7")).to_be_visible()
    page.get_by_role("radio", name="Inbox").check()
    expect(page.get_by_label("The message in a list of messages")).to_contain_text("Note for Ada")
    page.get_by_role("radio", name="Phone").check()
    assert page.locator("#frame").bounding_box()["width"] == 375  # type: ignore[index]


def test_the_keyboard_alone_leaves_the_code_and_finds_the_keys(
    site: Site, lab: Laboratory, open_page: OpenPage
) -> None:
    lab.template("X_NOTE", "<p>Hello</p>")
    page = open_page(viewport=WIDE)
    sign_in(page, site, address=address(lab, "/X_NOTE"))
    page.get_by_label("Subject").focus()
    page.keyboard.press("Tab")  # what formats the source
    page.keyboard.press("Tab")  # the numbers of the lines, where faults are told
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.type("<p>By keyboard</p>")
    expect(message(page).get_by_text("By keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".ace_scroller:focus, #code:focus, .ace_editor :focus")).to_have_count(1)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys of the editor")).to_be_visible()


def test_two_people_lose_nothing(site: Site, lab: Laboratory, open_page: OpenPage) -> None:
    page = open_page(viewport=WIDE)
    sign_in(page, site, address=address(lab, "/X_SAMPLE"))
    key = Key(lab.service_id, "X_SAMPLE")
    with site.database.transaction() as session:
        text = drafts.working(session, key).content
        theirs = templates.TemplateContent(name=text.name, format="html", source="<p>By Ben</p>")
        drafts.save(session, key, theirs, 0, "ben@lab.example")
    write(page, "<p>By Ada</p>", at=(0, 0))
    expect(page.get_by_text("ben@lab.example is working on this template too")).to_be_visible()
    page.keyboard.press("Control+s")
    expect(page.get_by_role("alert")).to_contain_text("Nothing is lost")
    page.get_by_role("button", name="Look at both texts").click()
    expect(page.get_by_role("heading", name="ben@lab.example has saved this template too")).to_be_visible()
    picture(page, "template-conflict")
    page.get_by_role("button", name="Save mine over theirs").click()
    page.get_by_text("Kept copies").click()
    page.get_by_role("link", name="Replaced by somebody else’s text").click()
    expect(message(page).get_by_text("By Ben")).to_be_visible()


def test_versions_are_compared_and_rolled_back_on_a_phone(site: Site, lab: Laboratory, open_page: OpenPage) -> None:
    lab.template("X_SAMPLE", "<p>Sample {{ sample_id }}</p>\n<p>New</p>", sample_fields={"sample_id": "S-1"})
    page = open_page(viewport=NARROW, reduced_motion="reduce")
    sign_in(page, site, address=address(lab, "/X_SAMPLE"))
    fits(page)
    page.get_by_role("link", name="Versions").click()
    fits(page)
    page.get_by_role("link", name="What changed in version 2").click()
    expect(page.locator(".difference-changed").first).to_contain_text("Sample")
    fits(page)
    page.get_by_role("link", name="Rendered").click()
    expect(page.frame_locator('iframe[title="Version 2 as HTML"]').get_by_text("New")).to_be_visible()
    page.goto(f"{site.url}{address(lab, '/X_SAMPLE/versions')}")
    page.get_by_role("button", name="Roll back to version 1").click()
    page.get_by_role("button", name="Publish it as version 3").click()
    expect(page.get_by_text("Version 3 is published, with the content of version 1.")).to_be_visible()


def test_everything_works_without_javascript(site: Site, lab: Laboratory, open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False, viewport=WIDE)
    sign_in(page, site, address=address(lab))
    page.get_by_role("link", name="New template").click()
    page.get_by_label("Deployment notice").check()
    page.get_by_role("button", name="Open in the editor").click()
    page.get_by_label("Source", exact=True).fill("<mjml><mj-body>\n{{ oops }}\n</mj-body></mjml>")
    page.get_by_role("button", name="Render").click()
    expect(page.locator("#problems")).to_contain_text("Line 2")
    picture(page, "template-without-javascript")
    page.get_by_label("Subject").fill("Report on {{ sample_id }}")
    page.get_by_label("Source", exact=True).fill(MJML)
    page.get_by_label("Fields, as JSON").fill(SAMPLE)
    page.get_by_label("Save as").fill("A long report")
    page.get_by_role("button", name="Save sample").click()
    expect(message(page).get_by_text("Line 39 of the report")).to_be_attached()
    page.get_by_role("radio", name="Text").check()
    expect(page.get_by_label("The message as text")).to_contain_text("Line 39 of the report")
    page.get_by_role("button", name="Send to me").click()
    expect(page.get_by_text("A test is on its way to ada@lab.example.")).to_be_visible()
    page.get_by_role("button", name="Publish version 1…").click()
    page.get_by_role("button", name="Publish version 1", exact=True).click()
    expect(page.get_by_text("Version 1 is published: messages")).to_be_visible()
