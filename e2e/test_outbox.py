"""The outbox in a browser: from sign-in or with a key, at each width, with and without JavaScript; the docs."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from backend.db.database import Database
from backend.portal import keys
from e2e.opened_pages import NARROW, WIDE, fits, picture
from e2e.site import Site
from tests.portal.people_and_messages import PASSWORD, message, service, user

_TEXT = "Freezer 3 in room B12 is at -61 °C and rising. Open the doors as little as you can."

_ACTIVE = "<p id=p style='color:rgb(1,2,3)'>Hello</p><script>p.textContent = 'Ran'</script>"

OpenPage = Callable[..., Page]


@pytest.fixture
def lab(database: Database) -> int:
    lab = service(database)
    message(database, lab, None, channel="SMS", sender="Carillon", address="+447700900123", text=_TEXT, html=None)
    message(database, lab, None, channel="SLACK", address="#lab-alerts", text="Run 4711 is *done*", html=None)
    message(
        database,
        lab,
        "Deployment of the accessioning service on Thursday, with a subject that is longer than a line",
        address="accessioning-and-sample-reception-stakeholders@laboratories.example",
    )
    message(database, lab, "Problems with accessioning")
    return lab


def address(site: Site, lab: int, rest: str = "") -> str:
    return f"{site.url}/portal/outbox{rest}?key={keys.outbox_key(lab)}"


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_newcomer_reads_a_message_by_key(site: Site, lab: int, open_page: OpenPage, size: dict[str, int]) -> None:
    page = open_page(viewport=size)
    page.goto(address(site, lab))
    expect(page.get_by_role("link", name="Problems with accessioning")).to_be_visible()
    fits(page)
    page.get_by_role("link", name="Problems with accessioning").click()
    frame = page.frame_locator("iframe.rendition")
    expect(frame.get_by_role("heading", name="Sample 40STDY246690 has failed")).to_be_visible()
    assert page.title().startswith("Problems with accessioning")
    fits(page)


def test_the_frame_has_the_mails_styles_and_runs_nothing(site: Site, lab: int, open_page: OpenPage) -> None:
    page = open_page()
    uid = message(site.database, lab, "Styled", html=_ACTIVE)
    page.goto(address(site, lab, f"/{uid}"))
    paragraph = page.frame_locator("iframe.rendition").locator("#p")
    expect(paragraph).to_have_css("color", "rgb(1, 2, 3)")
    expect(paragraph).to_have_text("Hello")
    assert page.locator("iframe.rendition").get_attribute("sandbox") == ""


def test_tabs_show_text_and_source(site: Site, lab: int, open_page: OpenPage) -> None:
    page = open_page(viewport=WIDE)
    page.goto(address(site, lab))
    page.get_by_role("link", name="Problems with accessioning").click()
    page.get_by_role("link", name="Text", exact=True).click()
    expect(page.get_by_label("The message as text")).to_contain_text("Its volume is too low.")
    expect(page.get_by_role("link", name="Text", exact=True)).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="Source").click()
    expect(page.get_by_label("The message's HTML source")).to_contain_text("<h1 style=")


def test_a_message_that_arrives_shows_up_by_itself(site: Site, lab: int, open_page: OpenPage) -> None:
    page = open_page(viewport=WIDE)
    page.goto(address(site, lab))
    link = page.get_by_role("link", name="Problems with accessioning")
    link.focus()
    message(site.database, lab, "Fresh from the worker")
    expect(page.get_by_role("link", name="Fresh from the worker")).to_be_visible()
    expect(page.locator("#outbox-news")).to_have_text("1 new message")
    expect(page.locator(".row-fresh")).to_have_count(1)
    expect(link).to_be_focused()
    picture(page, "outbox-fresh")


def test_an_empty_outbox_fills_by_itself(site: Site, open_page: OpenPage) -> None:
    lab = service(site.database)
    page = open_page(viewport=WIDE)
    page.goto(address(site, lab))
    expect(page.get_by_role("heading", name="No messages yet")).to_be_visible()
    expect(page.get_by_text("looks for new messages by itself")).to_be_visible()
    message(site.database, lab, "The first one")
    expect(page.get_by_role("link", name="The first one")).to_be_visible()


def test_everything_works_without_javascript(site: Site, lab: int, open_page: OpenPage) -> None:
    user(site.database, member_of=lab)
    page = open_page(java_script_enabled=False, viewport=NARROW)
    page.goto(f"{site.url}/portal/outbox")
    page.get_by_label("E-mail address").fill("ada@lab.example")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not match")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Outbox")).to_be_visible()
    expect(page.locator("[data-copy]")).to_have_count(0)
    page.get_by_role("link", name="Run 4711").click()
    expect(page.get_by_label("The message as text")).to_contain_text("Run 4711 is *done*")
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    page.locator(".menu-narrow > summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto(f"{site.url}/portal/outbox")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_ids_are_copied_at_a_press(site: Site, lab: int, open_page: OpenPage) -> None:
    uid = message(site.database, lab)
    page = open_page(viewport=WIDE, permissions=["clipboard-read", "clipboard-write"])
    page.goto(address(site, lab, f"/{uid}"))
    page.get_by_role("button", name="Copy the delivery's id").click()
    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == str(uid)


def test_the_keyboard_reaches_the_content_first(site: Site, lab: int, open_page: OpenPage) -> None:
    page = open_page(viewport=WIDE)
    page.goto(address(site, lab))
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the main content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Problems with accessioning")).to_be_focused()
    picture(page, "outbox-focus")


def test_the_documentation(site: Site, lab: int, open_page: OpenPage, looked_at: Callable[[Page, str], None]) -> None:
    user(site.database, platform_admin=True)
    page = open_page(viewport=WIDE)
    page.goto(f"{site.url}/")
    page.get_by_label("E-mail address").fill("ada@lab.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".menu-wide").get_by_text("ada@lab.example")).to_be_visible()
    expect(page.get_by_role("heading", name="Lab LIMS")).to_be_visible()
    page.goto(f"{site.url}/docs")
    expect(page.get_by_text("/notifications/v1/explain").first).to_be_visible()
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    looked_at(page, "docs")
    page.get_by_role("link", name="Error catalogue", exact=True).click()
    expect(page.get_by_role("heading", name="Unknown recipient")).to_be_visible()
    looked_at(page, "docs-errors")


def test_an_unknown_page_says_what_to_do(site: Site, open_page: OpenPage) -> None:
    page = open_page(viewport=WIDE, java_script_enabled=False)
    page.goto(f"{site.url}/portal/nothing")
    expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
    page.get_by_role("link", name="Go to the portal").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
