"""An API client: made, its examples run as they stand, and what they sent seen in the portal; its callbacks."""

import os
import subprocess
from collections.abc import Callable

from playwright.sync_api import Page, expect

from e2e.opened_pages import WIDE
from e2e.site import Site, sign_in
from tests.factories import laboratory
from tests.portal.people_and_messages import user

_SECONDS = 60


def run(commands: str, secret: str) -> str:
    """Run what was copied in a shell, and give the secret that it asks for."""
    environment = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}
    done = subprocess.run(
        ["bash", "-c", commands],
        input=f"{secret}\n",
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=True,
    )
    return done.stdout


def test_made_used_and_ended(
    site: Site, open_page: Callable[..., Page], looked_at: Callable[[Page, str], None]
) -> None:
    lab = laboratory(site.database)
    user(site.database, member_of=lab.service_id, role="admin")
    page = open_page(viewport=WIDE, permissions=["clipboard-read", "clipboard-write"])
    sign_in(page, site, address=f"/portal/services/{lab.service_id}/clients")
    page.get_by_role("link", name="New API client").click()
    page.get_by_role("button", name="Make the API client").click()
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    looked_at(page, "client-new-error")
    page.get_by_label("Name", exact=True).fill("lims-production")
    page.get_by_role("button", name="Make the API client").click()
    expect(page.get_by_text("This is the client’s secret.")).to_be_visible()
    page.get_by_role("button", name="Copy the client secret").click()
    expect(page.get_by_text("Copied", exact=True)).to_be_visible()
    secret = page.evaluate("navigator.clipboard.readText()")
    assert secret.startswith("crs_")
    copied = []
    for what in ("the commands that get a token", "the command that sends"):
        page.get_by_role("button", name=f"Copy {what}").click()
        copied.append(page.evaluate("navigator.clipboard.readText()"))
    looked_at(page, "client-made")
    assert '"status":"DISPATCHED"' in run("\n".join(copied), secret).replace(" ", "")
    page.get_by_role("link", name="Notifications", exact=True).first.click()
    expect(page.locator(".row")).to_contain_text("X_LAB")

    page.locator(".menu-wide").get_by_role("link", name="API clients").click()
    page.get_by_role("link", name="lims-production").click()
    expect(page.get_by_text(secret)).to_have_count(0)
    page.get_by_role("link", name="Tell it of changes by HTTP").click()
    page.get_by_label("Address", exact=True).fill("http://localhost/hook")
    page.get_by_role("button", name="Register the address").click()
    expect(page.get_by_label("Address", exact=True)).to_be_focused()
    looked_at(page, "callback-error")
    page.get_by_label("Address", exact=True).fill("https://lims.lab.example/carillon")
    page.get_by_role("button", name="Register the address").click()
    expect(page.get_by_text("This is the signing secret.")).to_be_visible()
    looked_at(page, "callback")
    page.get_by_role("link", name="lims-production").click()
    page.get_by_role("button", name="Revoke the client").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke the client").click()
    expect(page.get_by_text("lims-production is revoked")).to_be_visible()
