"""A recipient: written with its addresses checked on the way, tested, imported from a file, and deleted."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from e2e.opened_pages import NARROW, WIDE
from e2e.site import Site, sign_in
from tests.factories import laboratory
from tests.portal.people_and_messages import service, user

OpenPage = Callable[..., Page]
Look = Callable[[Page, str], None]


def test_from_the_first_one_to_its_end(site: Site, open_page: OpenPage, looked_at: Look, tmp_path: Path) -> None:
    lab = service(site.database, live=True)
    user(site.database, member_of=lab, role="editor")
    page = open_page(viewport=WIDE)
    sign_in(page, site, address=f"/portal/services/{lab}/recipients")
    page.get_by_role("link", name="Add the first one").click()
    page.get_by_label("Name", exact=True).fill("X Lab stakeholders")
    page.get_by_label("Identifier").fill("X_LAB_STAKEHOLDERS")
    page.get_by_label("Address 1", exact=True).fill("lab@lab")
    page.get_by_label("Address 1", exact=True).blur()
    expect(page.locator("#address-0-told")).to_contain_text("full domain name")
    expect(page.get_by_label("Address 1", exact=True)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Address 1", exact=True).fill("lab@lab.example")
    page.get_by_label("Address 1", exact=True).blur()
    expect(page.locator("#address-0-told")).to_be_empty()
    page.get_by_role("button", name="Add another address").click()
    expect(page.get_by_label("Address 2", exact=True)).to_be_focused()
    page.get_by_label("Channel of address 2").select_option("SLACK")
    page.get_by_label("Address 2", exact=True).fill("lab")
    page.get_by_role("button", name="Add the recipient").click()
    expect(page.get_by_label("Address 2", exact=True)).to_be_focused()
    expect(page.get_by_label("Address 1", exact=True)).to_have_value("lab@lab.example")
    looked_at(page, "recipient-form-error")
    page.get_by_label("Address 2", exact=True).fill("https://hooks.slack.com/services/T000/B000/secretsecret1234")
    page.get_by_role("button", name="Add the recipient").click()
    expect(page.get_by_role("heading", name="X Lab stakeholders")).to_be_visible()
    expect(page.get_by_text("https://hooks.slack.com/…1234", exact=True)).to_be_visible()

    page.get_by_role("button", name="Send a test to lab@lab.example").click()
    expect(page.get_by_text("The test message is on its way; follow it here.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_contain_text("[Test]")

    page.goto(f"{site.url}/portal/services/{lab}/recipients/import")
    import_and_delete(page, looked_at, tmp_path)


def import_and_delete(page: Page, looked_at: Look, tmp_path: Path) -> None:
    """Go on from the page of the import."""
    file = tmp_path / "recipients.csv"
    file.write_text("identifier,name,channel,address\nX_OPS,Operations,EMAIL,ops\n", encoding="utf-8")
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="See what it would do").click()
    expect(page.get_by_role("alert")).to_contain_text("Line 2: An EMAIL address is")
    looked_at(page, "recipients-import-error")
    page.get_by_label("Or paste its lines").fill(file.read_text(encoding="utf-8").strip() + "@lab.example\n")
    page.get_by_role("button", name="See what it would do").click()
    looked_at(page, "recipients-import")
    page.get_by_role("button", name="Import them").click()
    expect(page.get_by_text("1 recipient is imported.")).to_be_visible()
    page.get_by_role("searchbox", name="Name, identifier or address").fill("ops@")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="X Lab stakeholders")).to_have_count(0)
    page.get_by_role("link", name="Operations").click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_label("Write X_OPS to confirm").fill("X_OPS")
    page.get_by_role("button", name="Delete the recipient").click()
    expect(page.get_by_text("X_OPS is deleted.")).to_be_visible()


def test_without_javascript_at_phone_width(site: Site, open_page: OpenPage) -> None:
    lab = laboratory(site.database)
    user(site.database, member_of=lab.service_id, role="admin")
    page = open_page(java_script_enabled=False, viewport=NARROW)
    sign_in(page, site, address=f"/portal/services/{lab.service_id}/recipients/new")
    page.get_by_label("Name", exact=True).fill("Operations")
    page.get_by_label("Identifier").fill("X_OPS")
    page.get_by_label("Address 1", exact=True).fill("ops@lab.example")
    page.get_by_role("button", name="Add another address").click()
    page.get_by_label("Channel of address 2").select_option("SMS")
    page.get_by_label("Address 2", exact=True).fill("07700")
    page.get_by_role("button", name="Add the recipient").click()
    expect(page.locator("#address-1-told")).to_contain_text("E.164")
    page.get_by_role("button", name="Remove address 2").click()
    page.get_by_role("button", name="Add the recipient").click()
    expect(page.get_by_role("heading", name="Operations")).to_be_visible()

    page.goto(f"{site.url}/portal/services/{lab.service_id}/clients/new")
    page.get_by_label("Name", exact=True).fill("lims-production")
    page.get_by_role("button", name="Make the API client").click()
    expect(page.get_by_text("This is the client’s secret.")).to_be_visible()
    page.get_by_role("button", name="Make a new secret").click()
    page.get_by_role("button", name="Revoke the older secret").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke the secret").click()
    expect(page.get_by_text("The secret is revoked")).to_be_visible()


def test_by_keyboard_alone(site: Site, open_page: OpenPage) -> None:
    lab = service(site.database, live=True)
    user(site.database, member_of=lab, role="editor")
    page = open_page(viewport=WIDE)
    sign_in(page, site, address=f"/portal/services/{lab}/recipients/new")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("Operations")
    page.keyboard.press("Tab")
    page.keyboard.type("X_OPS")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Language")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("Text")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Channel of address 1")).to_have_value("SMS")
    page.keyboard.type("07700")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Address 1", exact=True)).to_be_focused()
    expect(page.locator("#address-0-told")).to_contain_text("E.164")
    page.keyboard.press("Control+A")
    page.keyboard.type("+447700900123")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Operations")).to_be_visible()
