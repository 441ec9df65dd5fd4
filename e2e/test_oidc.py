"""Signing in through a real OpenID provider: an invitation, then the identity alone, then a stranger."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from backend.accounts import invitations, oidc, services
from backend.lib import settings
from e2e import oidc_server
from e2e.opened_pages import WIDE
from e2e.site import Site
from tests.portal.people_and_messages import service

OpenPage = Callable[..., Page]
Look = Callable[[Page, str], None]


def alone(page: Page) -> Page:
    """Keep the provider's pages from asking for typefaces elsewhere."""
    page.context.route(
        lambda url: not url.startswith("http://127.0.0.1:"),
        lambda route: route.fulfill(status=200, content_type="text/css", body=""),
    )
    return page


def consent(page: Page, name: str) -> None:
    """Sign in on the provider's own pages."""
    page.get_by_placeholder("Enter any login").fill(name)
    page.get_by_placeholder("and password").fill("anything")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def test_in_through_the_provider(
    site: Site, open_page: OpenPage, looked_at: Look, configure: Callable[..., settings.Settings]
) -> None:
    lab = service(site.database)
    with oidc_server.running(f"{site.url}{oidc.CALLBACK}") as issuer:
        configure(
            PORT=site.url.rpartition(":")[2],
            OIDC_ISSUER=issuer,
            OIDC_CLIENT_ID=oidc_server.CLIENT_ID,
            OIDC_CLIENT_SECRET=oidc_server.CLIENT_SECRET,
        )
        site.restart()
        with site.database.transaction() as session:
            owner = services.service_by_id(session, lab)
            key = invitations.invite(session, owner, "bob@lab.example", "editor", "ada@lab.example").secret
        page = alone(open_page(viewport=WIDE))
        page.goto(f"{site.url}/portal/invitation?key={key}")
        looked_at(page, "invitation")
        page.get_by_role("button", name="Join with your account at 127.0.0.1").click()
        consent(page, "bob-at-home")
        expect(page.get_by_role("status").filter(has_text="You have joined Lab LIMS.")).to_be_visible()
        page.goto(f"{site.url}/portal/account")
        expect(page.get_by_text("you sign in through 127.0.0.1")).to_be_visible()
        page.locator(".menu-wide").get_by_role("button", name="Sign out").click()

        looked_at(page, "sign-in-oidc")
        page.get_by_role("button", name="Sign in through 127.0.0.1").click()
        expect(page.locator(".menu-wide").get_by_text("bob@lab.example")).to_be_visible()

        stranger = alone(open_page(viewport=WIDE))
        stranger.goto(f"{site.url}/portal/sign-in")
        stranger.get_by_role("button", name="Sign in through 127.0.0.1").click()
        consent(stranger, "eve")
        expect(stranger.get_by_role("heading", name="You have no account here yet")).to_be_visible()
        looked_at(stranger, "oidc-unknown")
        stranger.goto(f"{site.url}/portal/account")
        expect(stranger.get_by_role("heading", name="Sign in")).to_be_visible()
