"""A notification is sent by the API and turns SENT before the eyes of whoever watches the list, and its own page."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from e2e.opened_pages import WIDE
from e2e.site import sign_in
from e2e.workshop import Workshop


def test_it_turns_sent_by_itself(workshop: Workshop, open_page: Callable[..., Page]) -> None:
    page = open_page(viewport=WIDE, reduced_motion="reduce")
    sign_in(page, workshop.site, address=workshop.address("/notifications"))
    expect(page.get_by_role("heading", name="No notifications yet")).to_be_visible()

    first = workshop.send("S-1")
    row = page.locator(".row")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Dispatched")
    expect(page.locator("#list-news")).to_contain_text("1 new notification.")
    expect(page.get_by_text("Live: this list keeps up by itself")).to_be_visible()
    page.locator(f"#n-{first}").focus()
    second = workshop.send("S-2")
    expect(row).to_have_count(2)
    expect(page.locator(".row-fresh")).to_have_count(1)
    expect(page.locator(f"#n-{first}")).to_be_focused()

    workshop.work()
    expect(row.first).to_contain_text("Sent")
    expect(page.locator("#tab-sent")).to_contain_text("2")
    expect(page.get_by_text("Nothing here is on its way any more")).to_be_visible()
    assert "every" not in (page.locator("#notification-list").get_attribute("hx-trigger") or "")

    page.locator(f"#n-{second}").click()
    expect(page.get_by_text("Sent to lab@lab.example by smtp")).to_be_visible()
    message = page.frame_locator("iframe.rendition")
    expect(message.get_by_role("heading", name="Sample S-2")).to_be_visible()
    page.get_by_role("link", name="Raw answers").click()
    expect(page.locator(".answer pre")).to_contain_text("250")
    assert [mail.envelope_to for mail in workshop.server.messages] == ["lab@lab.example"] * 2


def test_its_own_page_tells_the_story_as_it_happens(workshop: Workshop, open_page: Callable[..., Page]) -> None:
    uid = workshop.send("S-1")
    page = open_page(viewport=WIDE)
    sign_in(page, workshop.site, address=workshop.address(f"/notifications/{uid}"))
    story = page.locator("#story")
    expect(story).to_contain_text("Dispatched")
    workshop.work()
    expect(story).to_contain_text("Sent to lab@lab.example by smtp")
    expect(page.locator("#story-news")).to_have_text("Now sent.")
    assert "every" not in (story.get_attribute("hx-trigger") or "")
    page.get_by_role("link", name="Home").click()
    expect(page.locator(".figures")).to_contain_text("1 Sent")


def test_a_hidden_tab_asks_for_nothing(workshop: Workshop, open_page: Callable[..., Page]) -> None:
    workshop.send("S-1")
    page = open_page(viewport=WIDE)
    sign_in(page, workshop.site, address=workshop.address("/notifications"))
    with page.expect_request("**/notifications/list*"):
        pass
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    # Two turns of the page's own clock, told by the trigger that htmx fires before each request.
    page.evaluate("""() => new Promise(resolve => {
        let turns = 0;
        document.addEventListener("htmx:beforeRequest", () => { turns += 1; if (turns === 2) resolve(); });
    })""")
    assert asked == []
    page.evaluate("delete document.hidden")
    with page.expect_request("**/notifications/list*"):
        pass
