"""Without JavaScript, at phone width: an invitation is followed, and the team and the settings are changed."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from backend.accounts import invitations, services
from e2e.opened_pages import NARROW
from e2e.site import Site
from tests.portal.people_and_messages import PASSWORD, service

OpenPage = Callable[..., Page]


def test_join_and_run_a_team(site: Site, open_page: OpenPage) -> None:
    lab = service(site.database)
    with site.database.transaction() as session:
        owner = services.service_by_id(session, lab)
        key = invitations.invite(session, owner, "bob@lab.example", "admin", "ada@lab.example").secret
    page = open_page(java_script_enabled=False, viewport=NARROW)
    page.goto(f"{site.url}/portal/invitation?key={key}")
    page.get_by_label("Choose a password").fill(PASSWORD)
    page.get_by_role("button", name="Create my account and join").click()
    expect(page.get_by_text("You have joined Lab LIMS.")).to_be_visible()
    page.locator(".menu-narrow > summary").click()
    page.locator(".menu-narrow").get_by_role("link", name="Team").click()
    page.get_by_label("E-mail address").fill("eve@lab.example")
    page.get_by_role("radio", name="Editor").check()
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_text("The invitation to eve@lab.example is on its way.")).to_be_visible()
    expect(page.get_by_role("cell", name="eve@lab.example", exact=False).first).to_be_visible()
    page.get_by_role("button", name="Remove bob@lab.example").click()
    dialog = page.get_by_role("dialog", name="Remove bob@lab.example from the team?")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Remove from the team").click()
    expect(page.get_by_role("alert")).to_contain_text("keeps at least one administrator")
    page.locator(".menu-narrow > summary").click()
    page.locator(".menu-narrow").get_by_role("link", name="Settings").click()
    page.get_by_role("link", name="Change the senders").click()
    page.get_by_role("radio", name="Answers go to it").check()
    page.get_by_label("E-mail address").fill("not an address")
    page.get_by_role("button", name="Add the address and send the link").click()
    expect(page.get_by_label("E-mail address")).to_have_value("not an address")
    expect(page.locator("#address-fault")).to_be_visible()
    page.locator(".menu-narrow > summary").click()
    page.locator(".menu-narrow").get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
