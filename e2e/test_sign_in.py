"""Signing in with a password: slowed, back by a mailed link, and out again."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import delete

from backend.accounts import attempts
from backend.db.models.accounts import AttemptWindow
from e2e.opened_pages import WIDE
from e2e.site import Site
from tests.portal.letters import link
from tests.portal.people_and_messages import PASSWORD, service, user

OpenPage = Callable[..., Page]
Look = Callable[[Page, str], None]
NEW = "another long enough password"


@pytest.fixture
def lab(site: Site) -> int:
    lab = service(site.database)
    user(site.database, member_of=lab, role="admin")
    return lab


def fill_in(page: Page, password: str) -> None:
    page.get_by_label("E-mail address").fill("ada@lab.example")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_slowed_and_back(site: Site, lab: int, open_page: OpenPage, looked_at: Look) -> None:
    page = open_page(viewport=WIDE)
    page.goto(f"{site.url}/portal/services/{lab}/team")
    expect(page.get_by_label("E-mail address")).to_be_focused()
    fill_in(page, "not the password")
    expect(page.get_by_role("alert")).to_contain_text("do not match")
    expect(page.get_by_label("E-mail address")).to_have_value("ada@lab.example")
    expect(page.get_by_label("Password")).to_be_focused()
    looked_at(page, "sign-in-refused")
    for _ in range(attempts.SIGN_IN_HERE.limit - 1):
        attempts.take_at_sign_in(site.database, "ada@lab.example", "127.0.0.1")
    fill_in(page, PASSWORD)
    expect(page.get_by_role("alert")).to_contain_text("too many attempts")

    page.get_by_role("link", name="Forgot your password").click()
    expect(page.get_by_label("E-mail address")).to_be_focused()
    page.get_by_role("button", name="Send me the link").click()
    expect(page.get_by_label("E-mail address")).to_be_focused()
    expect(page.locator("#email-fault")).to_contain_text("one plain address")
    looked_at(page, "password-forgotten-error")
    page.get_by_label("E-mail address").fill("ada@lab.example")
    page.get_by_role("button", name="Send me the link").click()
    expect(page.get_by_role("heading", name="Look into your mailbox")).to_be_visible()
    looked_at(page, "password-sent")
    site.letter_with("Choose a new password for Carillon")

    page.goto(f"{site.url}{link(site.database)}")
    page.get_by_label("New password").fill("short")
    page.get_by_role("button", name="Save and sign in").click()
    expect(page.get_by_label("New password")).to_be_focused()
    looked_at(page, "password-new-error")
    page.get_by_label("New password").fill(NEW)
    page.get_by_role("button", name="Save and sign in").click()
    expect(page.get_by_role("status").filter(has_text="Your new password works from now on.")).to_be_visible()
    page.goto(f"{site.url}{link(site.database)}")
    expect(page.get_by_role("heading", name="Link no longer good")).to_be_visible()
    looked_at(page, "link-over")
    page.goto(f"{site.url}/portal")
    page.locator(".menu-wide").get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    with site.database.transaction() as session:  # as five minutes later
        session.execute(delete(AttemptWindow))
    page.goto(f"{site.url}/portal/services/{lab}/team")
    fill_in(page, NEW)
    expect(page.get_by_role("heading", name="Team")).to_be_visible()
