"""Senders in a browser: added, agreed to by whoever reads the address, the default, chosen by a template, removed."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from e2e.opened_pages import NARROW, WIDE
from e2e.site import Site, sign_in
from tests.factories import Laboratory, laboratory
from tests.portal.letters import link
from tests.portal.people_and_messages import user

OpenPage = Callable[..., Page]
Look = Callable[[Page, str], None]


@pytest.fixture
def lab(site: Site) -> Laboratory:
    made = laboratory(site.database)
    user(site.database, member_of=made.service_id, role="admin")
    return made


def said(page: Page, sentence: str) -> None:
    expect(page.get_by_role("status").filter(has_text=sentence)).to_be_visible()


@pytest.mark.parametrize("with_script", [True, False])
def test_an_address_is_added_permitted_chosen_and_removed(
    site: Site, lab: Laboratory, open_page: OpenPage, looked_at: Look, *, with_script: bool
) -> None:
    how: dict[str, Any] = {"viewport": WIDE if with_script else NARROW, "java_script_enabled": with_script}
    page = open_page(**how)
    sign_in(page, site, address=f"/portal/services/{lab.service_id}/settings")
    page.get_by_role("link", name="Change the senders").click()
    expect(page.get_by_text("No address yet, so all e-mails come from")).to_be_visible()
    page.get_by_label("E-mail address").fill("lims@elsewhere.example")
    page.get_by_label("Name before the address").fill("Sample tracking")
    page.get_by_role("button", name="Add the address and send the link").click()
    expect(page.locator("#address-fault")).to_contain_text("is not of localhost.localdomain")
    expect(page.get_by_label("E-mail address")).to_have_value("lims@elsewhere.example")
    page.get_by_label("E-mail address").fill("lims@localhost.localdomain")
    page.get_by_role("button", name="Add the address and send the link").click()
    said(page, "lims@localhost.localdomain is added.")
    expect(page.get_by_text("Not verified", exact=True)).to_be_visible()
    reader = open_page(**how)
    reader.goto(f"{site.url}{link(site.database)}")
    if with_script:
        looked_at(reader, "sender-asked")
    reader.get_by_role("button", name="Permit it").click()
    expect(reader.get_by_role("heading", name="lims@localhost.localdomain is verified")).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Make it the default lims@localhost.localdomain").click()
    said(page, "lims@localhost.localdomain is the default.")
    expect(page.get_by_text("Sample tracking <lims@localhost.localdomain>").first).to_be_visible()
    if with_script:
        looked_at(page, "senders")
    page.get_by_role("button", name="Change the name before lims@localhost.localdomain").click()
    named = page.get_by_role("dialog", name="Name before lims@localhost.localdomain")
    named.get_by_label("Name").fill("Laboratory")
    named.get_by_role("button", name="Save the name").click()
    said(page, "E-mails from lims@localhost.localdomain now come from Laboratory.")
    page.goto(f"{site.url}/portal/services/{lab.service_id}/templates/X_SAMPLE")
    page.get_by_text("Name, format, senders, repeats and batches").click()
    page.get_by_label("Its e-mails come from").select_option("lims@localhost.localdomain")
    page.get_by_role("button", name="Publish").first.click()
    page.get_by_role("button", name="Publish version 2").click()
    said(page, "Version 2 is published")
    page.goto(f"{site.url}/portal/services/{lab.service_id}/settings/senders")
    expect(page.get_by_role("link", name="X_SAMPLE")).to_be_visible()
    page.get_by_role("button", name="Remove lims@localhost.localdomain").click()
    asked = page.get_by_role("dialog", name="Remove lims@localhost.localdomain?")
    expect(asked).to_contain_text("It is the default")
    if with_script:
        looked_at(page, "senders-remove")
    asked.get_by_role("button", name="Remove the address").click()
    said(page, "lims@localhost.localdomain is removed.")
