"""A session ends while a page is open: nothing that was typed is lost; what is stale says so; work under way shows."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from backend.db.database import Database
from backend.portal.security import cookie_name
from e2e.opened_pages import WIDE, keeps_nobody_out, picture
from e2e.site import Site, sign_in
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import PASSWORD, user

OpenPage = Callable[..., Page]
# The page that is left behind cannot be asked once it is: it puts down how it looked right after the click.
_CLICK_TWICE = """label => {
  const button = [...document.querySelectorAll("button")].find(one => one.textContent.trim() === label);
  addEventListener("submit", () => setTimeout(() => sessionStorage.setItem("looked", JSON.stringify({
    busy: button.classList.contains("busy"),
  }))));
  const root = document.documentElement;
  new MutationObserver(() => root.classList.contains("loading") && localStorage.setItem("bar", "shown")).observe(
    root, { attributeFilter: ["class"] },
  );
  button.click();
  button.click();
}"""


@pytest.fixture
def lab(database: Database) -> Desk:
    made = desk(database)
    user(database, member_of=made.lab.service_id, role="admin")
    made.lab.template("X_SAMPLE", "<h1>Sample {{ sample_id }}</h1>", sample_fields={"sample_id": "S-1"})
    return made


def enter(page: Page) -> None:
    """Sign in at the page that asks for it."""
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    page.get_by_label("E-mail address").fill("ada@lab.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_the_editor_offers_again_what_it_could_not_save(site: Site, lab: Desk, open_page: OpenPage) -> None:
    page = open_page(viewport=WIDE)
    address = f"{site.url}{lab.home}/templates/X_SAMPLE"
    sign_in(page, site, address=f"{lab.home}/templates/X_SAMPLE")
    page.context.clear_cookies(name=cookie_name())
    page.get_by_label("Subject").fill("Typed after the end")
    page.wait_for_url(re.compile("/portal/sign-in"))
    picture(page, "session-ended")
    enter(page)
    page.wait_for_url(address)
    expect(page.get_by_label("Subject")).not_to_have_value("Typed after the end")
    page.get_by_role("button", name="Put it back").click()
    expect(page.get_by_label("Subject")).to_have_value("Typed after the end")
    expect(page.locator("#saved")).to_contain_text("Draft")


@pytest.mark.parametrize("scripts", [False, True])
def test_a_form_that_comes_too_late_is_sent_after_all(
    site: Site, lab: Desk, open_page: OpenPage, scripts: bool
) -> None:
    page = open_page(viewport=WIDE, java_script_enabled=scripts)
    sign_in(page, site, address=f"{lab.home}/clients/new")
    page.context.clear_cookies(name=cookie_name())
    page.get_by_label("Name").fill("lims-of-the-morning")
    page.get_by_role("button", name="Make the API client").click()
    enter(page)
    expect(page.get_by_text("lims-of-the-morning")).to_be_visible()
    if scripts:
        keeps_nobody_out(page)
        picture(page, "session-kept")
    page.get_by_role("button", name="Send it now").click()
    expect(page.get_by_text("This is the client’s secret.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("This is the client’s secret.")).to_have_count(0)


def test_a_live_part_leads_back_to_its_page(site: Site, lab: Desk, open_page: OpenPage) -> None:
    lab.accept()
    page = open_page(viewport=WIDE)
    sign_in(page, site, address=f"{lab.home}/notifications?priority=NORMAL")
    page.context.clear_cookies(name=cookie_name())
    page.wait_for_url(re.compile("/portal/sign-in"))
    enter(page)
    page.wait_for_url(f"{site.url}{lab.home}/notifications?priority=NORMAL")
    expect(page.get_by_role("heading", name="Notifications")).to_be_visible()


def test_a_list_says_since_when_it_is_stale_and_goes_on(site: Site, lab: Desk, open_page: OpenPage) -> None:
    lab.accept("S-1", subject="Before")
    page = open_page(viewport=WIDE)
    sign_in(page, site, address=f"{lab.home}/notifications")
    expect(page.get_by_text("keeps up by itself")).to_be_visible()
    cut = "**/notifications/list*"
    page.evaluate("console.error = () => {}")  # htmx says there that the server is away
    page.route(cut, lambda route: route.fulfill(status=429, body="away"))
    stale = page.get_by_text(re.compile(r"Not up to date: .* since \d\d:\d\d:\d\d"))
    expect(stale).to_be_visible()
    expect(page.get_by_text("keeps up by itself")).to_be_hidden()
    keeps_nobody_out(page)
    picture(page, "stale")
    lab.accept("S-2", subject="Meanwhile")
    page.unroute(cut)
    expect(page.get_by_role("link", name="Meanwhile")).to_be_visible()
    expect(stale).to_have_count(0)


def test_a_button_shows_that_it_works_and_sends_once(site: Site, lab: Desk, open_page: OpenPage) -> None:
    page = open_page(viewport=WIDE)
    sign_in(page, site, address=f"{lab.home}/clients/new")
    other = page.context.new_page()
    other.goto(f"{site.url}/portal/account")
    other.evaluate("addEventListener('storage', () => document.title = 'The bar is shown')")
    held: list[Route] = []
    page.route(
        "**/clients/new", lambda route: held.append(route) if route.request.method == "POST" else route.continue_()
    )
    page.get_by_label("Name").fill("lims")
    page.evaluate(_CLICK_TWICE, "Make the API client")
    expect(other).to_have_title("The bar is shown")
    assert len(held) == 1
    held[0].continue_()
    expect(page.get_by_text("This is the client’s secret.")).to_be_visible()
    expect(page.locator("html.loading")).to_have_count(0)
    assert len(held) == 1
    assert json.loads(page.evaluate("sessionStorage.getItem('looked')")) == {"busy": True}
