"""A file behind a link: fetched from the mail by whom it went to, told in the portal, and withdrawn."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from e2e.opened_pages import NARROW, WIDE
from e2e.site import sign_in
from e2e.workshop import Workshop
from tests.attachments import PDF, attachment

OpenPage = Callable[..., Page]
Look = Callable[[Page, str], None]
NAME = "Protokoll der Prüfung.pdf"


def link_in_the_mail(workshop: Workshop) -> str:
    (received,) = workshop.server.wait_for(1)
    html = received.parsed.get_body(("html",))
    assert html is not None
    found = re.search(r'href="(http://[^"]+/files/[0-9a-f]+)"', html.get_content())
    assert found is not None
    return found[1]


def test_fetched_without_javascript_told_and_withdrawn(
    workshop: Workshop, open_page: OpenPage, looked_at: Look
) -> None:
    uid = workshop.send(attachments=[attachment(NAME, link={"expires_after": "4 weeks"})])
    workshop.work()
    link = link_in_the_mail(workshop)

    reader = open_page(java_script_enabled=False, viewport=NARROW)
    reader.goto(link)
    expect(reader.get_by_label("E-mail address")).to_be_focused()
    reader.keyboard.type("eve@lab.example")
    reader.keyboard.press("Enter")
    expect(reader.locator("#email-fault")).to_contain_text("did not go to that address")
    expect(reader.get_by_text(NAME)).to_have_count(0)
    reader.get_by_label("E-mail address").fill("lab@lab.example")
    reader.get_by_role("button", name="Continue").click()
    expect(reader.get_by_text(NAME)).to_be_visible()
    with reader.expect_download() as fetched:
        reader.get_by_role("button", name="Download this file").click()
    assert fetched.value.suggested_filename == NAME
    assert fetched.value.path().read_bytes() == PDF

    page = open_page(viewport=WIDE)
    page.goto(link)
    looked_at(page, "file-link-ask")
    page.get_by_label("E-mail address").fill("eve@lab.example")
    page.get_by_role("button", name="Continue").click()
    looked_at(page, "file-link-refused")
    page.get_by_label("E-mail address").fill("lab@lab.example")
    page.get_by_role("button", name="Continue").click()
    looked_at(page, "file-link-offer")

    sign_in(page, workshop.site, address=workshop.address(f"/notifications/{uid}"))
    told = page.get_by_role("listitem").filter(has_text=NAME)
    expect(told).to_contain_text("Fetched once by")
    expect(told).to_contain_text("lab@lab.example")
    looked_at(page, "file-link-told")
    page.get_by_role("button", name=f"Withdraw the link to {NAME}").click()
    page.get_by_role("dialog", name="Withdraw this link?").get_by_role("button", name="Withdraw it").click()
    expect(page.get_by_text("leads nowhere from now on")).to_be_visible()
    expect(told).to_contain_text("Withdrawn")
    page.goto(link)
    expect(page.get_by_role("heading", name="The file is no longer here")).to_be_visible()
    looked_at(page, "file-link-over")
    page.goto(f"{link[:-1]}x")
    expect(page.get_by_role("heading", name="There is no file here")).to_be_visible()
    looked_at(page, "file-link-unknown")
