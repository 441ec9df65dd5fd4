"""A passkey in a browser: added beside the authenticator, used in place of its code by keyboard, and taken away."""

import re
from collections.abc import Callable

import pyotp
from playwright.sync_api import Page, expect

from backend.lib import settings
from e2e.opened_pages import WIDE
from e2e.site import Site, sign_in
from tests.portal.people_and_messages import PASSWORD, user

OpenPage = Callable[..., Page]
_DEVICE = {"protocol": "ctap2", "transport": "internal", "hasUserVerification": True, "isUserVerified": True}


def test_a_passkey_takes_the_place_of_the_code(
    site: Site, open_page: OpenPage, configure: Callable[..., settings.Settings]
) -> None:
    port = site.url.rpartition(":")[2]
    configure(BASE_URL=f"http://localhost:{port}")
    site.restart()
    local = Site(f"http://localhost:{port}", site.database, site.web)
    user(site.database)
    page = open_page(viewport=WIDE)
    cdp = page.context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    options = {**_DEVICE, "automaticPresenceSimulation": True}
    device = cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    sign_in(page, local, address="/portal/account/second-factor")
    key = page.locator("[data-copy]").first.get_attribute("data-copy") or ""
    totp = pyotp.TOTP(key.replace(" ", ""))
    codes = re.findall(r"\b[a-z2-9]{5}-[a-z2-9]{5}\b", page.locator("pre").inner_text())
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_label("Code that the authenticator shows").fill(totp.now())
    page.get_by_role("button", name="Turn two-factor sign-in on").click()
    page.get_by_role("link", name="Change two-factor sign-in").click()
    page.get_by_role("link", name="Passkeys").click()
    page.get_by_label("Name").fill("Telephone")
    page.get_by_label("Code of the authenticator, or a recovery code").fill(codes[0])
    page.get_by_role("button", name="Add the passkey").press("Enter")
    expect(page.get_by_text("Telephone is here.")).to_be_visible()
    assert len(cdp.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]) == 1

    def arrive() -> None:
        page.context.clear_cookies()
        page.goto(f"{local.url}/portal/sign-in")
        page.get_by_label("E-mail address").fill("ada@lab.example")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("heading", name="Enter your code")).to_be_visible()

    arrive()
    page.get_by_role("button", name="Use a passkey").press("Enter")
    expect(page).to_have_url(re.compile(r"/portal($|/services)"))

    page.goto(f"{local.url}/portal/account/second-factor/passkeys")
    expect(page.get_by_role("row", name=re.compile("Telephone"))).not_to_contain_text("never")
    page.get_by_role("button", name=re.compile("^Remove")).first.click()
    page.get_by_role("button", name="Remove the passkey").click()
    expect(page.get_by_text("Telephone lets nobody in any more.")).to_be_visible()
    arrive()
    expect(page.get_by_role("button", name="Use a passkey")).to_have_count(0)
    page.get_by_label("Code of your authenticator").fill(codes[1])
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/portal($|/services)"))
