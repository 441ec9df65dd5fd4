"""By keyboard alone: in, through the switcher, a dialog and a filter, and out."""

from collections.abc import Callable

from playwright.sync_api import Page, expect
from sqlalchemy import insert

from backend.db.models.accounts import Membership
from e2e.keyboard import go_to, press
from e2e.opened_pages import WIDE
from e2e.site import Site
from tests.portal.people_and_messages import PASSWORD, service, user

OpenPage = Callable[..., Page]


def test_through_the_portal_by_keyboard(site: Site, open_page: OpenPage) -> None:
    lab, other = service(site.database), service(site.database, "Proteomics")
    ada = user(site.database, member_of=lab, role="admin")
    user(site.database, "bob@lab.example", member_of=lab)
    with site.database.transaction() as session:
        session.execute(insert(Membership).values(user_id=ada, service_id=other, role="viewer"))
    page = open_page(viewport=WIDE)
    page.goto(f"{site.url}/portal/sign-in?next=/portal/services/{lab}/team")
    expect(page.get_by_label("E-mail address")).to_be_focused()
    page.keyboard.type("ada@lab.example")
    press(page, "Tab")
    page.keyboard.type(PASSWORD)
    with page.expect_event("domcontentloaded"):  # what is heard by a script is heard from here on
        press(page, "Enter")
    expect(page.get_by_role("heading", name="Team")).to_be_visible()

    go_to(page, "Service: Lab LIMS")
    press(page, "Enter")
    expect(page.locator(".menu-wide").get_by_role("link", name="Proteomics")).to_be_visible()
    press(page, "Escape")
    expect(page.locator(".menu-wide").get_by_role("link", name="Proteomics")).to_be_hidden()
    expect(page.locator(".menu-wide .switcher summary")).to_be_focused()

    for _ in range(2):
        go_to(page, "Remove")
    press(page, "Enter")
    dialog = page.get_by_role("dialog", name="Remove bob@lab.example from the team?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    press(page, "Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Remove bob@lab.example")).to_be_focused()
    press(page, "Enter", "Shift+Tab", "Enter")
    expect(page.get_by_role("status").filter(has_text="bob@lab.example has left the team")).to_be_visible()

    go_to(page, "Audit log")
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Audit log")).to_be_visible()
    press(page, "/")
    expect(page.get_by_label("Who")).to_be_focused()
    page.keyboard.type("nobody")
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Nothing was changed that fits")).to_be_visible()
    go_to(page, "Sign out")
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
