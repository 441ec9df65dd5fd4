"""One message written by a form, looked at and sent, without JavaScript and at the width of a phone."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from e2e.opened_pages import NARROW
from e2e.site import Site, sign_in
from tests.factories import laboratory
from tests.portal.people_and_messages import user

OpenPage = Callable[..., Page]


def test_without_javascript_from_the_recipient_to_its_message(site: Site, open_page: OpenPage) -> None:
    lab = laboratory(site.database)
    sample = {"sample": "S-1", "urgent": True}
    lab.template("X_PLATE", "<h1>Sample {{ sample }}</h1>", subject="Plate {{ sample }}", sample_fields=sample)
    user(site.database, member_of=lab.service_id, role="editor")
    page = open_page(java_script_enabled=False, viewport=NARROW)
    sign_in(page, site, address=f"/portal/services/{lab.service_id}/recipients/X_LAB")
    page.get_by_role("link", name="Send one message").click()
    page.get_by_label("Template").select_option("X_PLATE")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("alert")).to_contain_text("the template needs it")
    page.get_by_label("sample").fill("S-9")
    page.get_by_role("button", name="Preview").click()
    expect(page.frame_locator("iframe").get_by_role("heading", name="Sample S-9")).to_be_visible()
    expect(page.get_by_text("lab@lab.example")).to_be_visible()
    page.get_by_role("button", name="Send the message").click()
    expect(page.get_by_text("This portal, sent by ada@lab.example")).to_be_visible()
