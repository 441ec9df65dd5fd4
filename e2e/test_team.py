"""Roles and the team: a platform administrator makes a service, its team runs it, a viewer changes nothing."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from backend.lib import settings
from e2e.opened_pages import WIDE
from e2e.site import Site, sign_in
from tests.portal.letters import link
from tests.portal.people_and_messages import PASSWORD, service, user

OpenPage = Callable[..., Page]
Look = Callable[[Page, str], None]


def said(page: Page, sentence: str) -> None:
    expect(page.get_by_role("status").filter(has_text=sentence)).to_be_visible()


def invite(page: Page, email: str, role: str) -> None:
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("radio", name=role).check()
    page.get_by_role("button", name="Send the invitation").click()
    said(page, f"The invitation to {email} is on its way.")


def join(page: Page, site: Site) -> Page:
    """Follow the newest invitation in a browser of its own."""
    page.goto(f"{site.url}{link(site.database)}")
    page.get_by_label("Choose a password").fill(PASSWORD)
    page.get_by_role("button", name="Create my account and join").click()
    said(page, "You have joined")
    return page


def test_a_service_from_its_making_to_its_team(site: Site, open_page: OpenPage, looked_at: Look) -> None:
    service(site.database, "Proteomics")
    user(site.database, platform_admin=True)
    page = open_page(viewport=WIDE)
    sign_in(page, site, address="/portal/admin")
    page.get_by_label("Name", exact=True).fill("Proteomics")
    page.get_by_role("button", name="Make the service").click()
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    looked_at(page, "admin-services-error")
    page.get_by_label("Name", exact=True).fill("Sample tracking")
    page.get_by_role("button", name="Make the service").click()
    said(page, "Sample tracking is made.")
    invite(page, "bob@lab.example", "Administrator")
    expect(page.get_by_role("heading", name="Invited", exact=True)).to_be_visible()
    bob = join(open_page(viewport=WIDE), site)
    bob.locator(".menu-wide").get_by_role("link", name="Team").click()
    invite(bob, "eve@lab.example", "Viewer")
    join(open_page(viewport=WIDE), site)
    bob.reload()
    bob.get_by_role("button", name="Change role of eve@lab.example").click()
    dialog = bob.get_by_role("dialog", name="Role of eve@lab.example")
    dialog.get_by_role("radio", name="Editor").check()
    looked_at(bob, "team-dialog")
    dialog.get_by_role("button", name="Save the role").click()
    said(bob, "eve@lab.example is an editor now.")

    page.goto(f"{site.url}/portal/admin/services")
    page.get_by_role("link", name="Sample tracking").click()
    page.get_by_role("button", name="Make it live").click()
    said(page, "Sample tracking is live.")


def test_a_viewer_changes_nothing_and_sees_no_other_team(site: Site, open_page: OpenPage, looked_at: Look) -> None:
    lab, other = service(site.database), service(site.database, "Proteomics")
    user(site.database, member_of=lab)
    eve = open_page(viewport=WIDE)
    sign_in(eve, site, address=f"/portal/services/{lab}/team")
    for name in ("team", "settings"):
        eve.goto(f"{site.url}/portal/services/{lab}/{name}")
        expect(eve.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()
        expect(eve.get_by_role("main").locator("form, [popovertarget]")).to_have_count(0)
    eve.goto(f"{site.url}/portal/services/{other}/team")
    expect(eve.get_by_role("heading", name="Page not found")).to_be_visible()
    looked_at(eve, "not-found")
    eve.goto(f"{site.url}/portal/admin")
    expect(eve.get_by_role("heading", name="This is not for your role")).to_be_visible()
    looked_at(eve, "not-for-your-role")


def test_settings_and_the_audit_log(site: Site, open_page: OpenPage, looked_at: Look) -> None:
    lab = service(site.database)
    user(site.database, member_of=lab, role="admin")
    page = open_page(viewport=WIDE)
    sign_in(page, site, address=f"/portal/services/{lab}/audit")
    page.locator(".menu-wide").get_by_role("link", name="Settings").click()
    page.get_by_label("Name of the service").fill("")
    page.get_by_role("button", name="Save the name").click()
    expect(page.get_by_label("Name of the service")).to_be_focused()
    looked_at(page, "settings-error")
    page.get_by_label("Name of the service").fill("Lab LIMS anew")
    page.get_by_role("button", name="Save the name").click()
    said(page, "The settings are saved.")
    page.get_by_role("button", name="Make a token").click()
    expect(page.get_by_text("This is the new token.")).to_be_visible()
    looked_at(page, "settings-token")
    page.locator(".menu-wide").get_by_role("link", name="Audit log").click()
    expect(page.get_by_role("cell", name="Service: changed")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename.endswith(".csv")


def test_the_administration(
    site: Site,
    open_page: OpenPage,
    looked_at: Look,
    configure: Callable[..., settings.Settings],
) -> None:
    providers = "smtp://mail.lab.example:587?tls=starttls,smtp://spare.lab.example:25"
    configure(PORT=site.url.rpartition(":")[2], EMAIL_PROVIDERS=providers)
    site.restart()
    lab = service(site.database)
    user(site.database, platform_admin=True)
    user(site.database, "bob@lab.example", member_of=lab)
    page = open_page(viewport=WIDE)
    sign_in(page, site, address="/portal/admin/providers")
    page.get_by_role("button", name="Switch off").first.click()
    page.get_by_role("button", name="Switch it off").click()
    said(page, "is switched off; the next in order takes its messages.")
    looked_at(page, "admin-providers")
    page.get_by_role("button", name="Switch on").click()
    said(page, "is switched on")
    page.goto(f"{site.url}/portal/admin/users")
    page.get_by_role("link", name="bob@lab.example").click()
    page.get_by_role("button", name="Switch off").click()
    page.get_by_role("dialog").get_by_role("button", name="Switch off").click()
    said(page, "bob@lab.example is switched off")
