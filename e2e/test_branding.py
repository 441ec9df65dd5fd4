"""The page of a brand: filled in while the preview follows, refused with what would pass, saved, and seen in a mail."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from backend.publishing import sources
from e2e.opened_pages import WIDE
from e2e.site import Site, sign_in
from tests.branding.examples import organisation, picture
from tests.factories import laboratory
from tests.portal.people_and_messages import user

OpenPage = Callable[..., Page]
Look = Callable[[Page, str], None]
LOGO = {"name": "logo.png", "mimeType": "image/png", "buffer": picture(480, 120)}


def own(page: Page, part: str) -> None:
    page.get_by_role("group", name=part, exact=True).get_by_role("radio", name="The service’s own").check()


def test_a_brand_is_tried_out_corrected_and_saved(site: Site, open_page: OpenPage, looked_at: Look) -> None:
    lab = laboratory(site.database)
    organisation(site.database, lab.service_id)
    user(site.database, member_of=lab.service_id, role="admin")
    page = open_page(viewport=WIDE)
    sign_in(page, site, address=f"/portal/services/{lab.service_id}/settings")
    page.get_by_role("link", name="Change the branding").click()
    expect(page.get_by_label("Main colour", exact=True)).to_be_hidden()
    looked_at(page, "branding-inherited")

    own(page, "Colours")
    page.get_by_label("Main colour", exact=True).fill("#7a1f5c")
    page.get_by_label("Links", exact=True).fill("#66bbcc")
    light = page.frame_locator("iframe[title='Markdown in Carillon’s layout']")
    expect(light.get_by_role("link")).to_have_css("color", "rgb(102, 187, 204)")
    dark = page.frame_locator("iframe[title='The same in the dark']")
    expect(dark.locator(".card")).to_have_css("background-color", "rgb(29, 36, 43)")
    expect(page.locator(".pair-fault").first).to_contain_text("Links on white (#66bbcc on #ffffff)")
    page.get_by_role("button", name="Save the branding").click()
    summary = page.get_by_role("alert")
    expect(summary).to_contain_text("would pass.")
    looked_at(page, "branding-fault")
    mended = summary.inner_text().split()[-3]
    page.get_by_label("Links", exact=True).fill(mended)
    expect(page.locator(".pair-fault")).to_have_count(0)

    own(page, "Logo")
    page.get_by_label("Picture").set_input_files(LOGO)  # type: ignore[arg-type] # a file as Playwright takes it
    page.get_by_label("What the logo shows").fill("Aurora Institute")
    own(page, "Footer")
    page.get_by_label("Lines").fill("Aurora Institute, 1 Way\nCB10 1SA Hinxton")
    page.get_by_label("Link 1 says").fill("Imprint")
    page.get_by_label("Link 1 leads to").fill("https://aurora.example/imprint")
    expect(light.get_by_text("CB10 1SA Hinxton")).to_be_visible()
    own(page, "Sender’s name")
    page.get_by_role("textbox", name="Name", exact=True).fill("Aurora samples")
    expect(page.get_by_text("From Aurora samples <")).to_be_visible()
    page.get_by_role("button", name="Save the branding").click()
    expect(page.get_by_role("status").filter(has_text="The branding is saved.")).to_be_visible()
    looked_at(page, "branding-settings")
    sources.clear()
    brand = sources.brand(lab.service_id)
    assert brand.logo is not None
    assert (brand.sender_name, brand.colours.link) == ("Aurora samples", mended)

    page.get_by_role("link", name="Change the branding").click()
    shown = page.frame_locator("iframe[title='A starter in MJML']").get_by_role("img", name="Aurora Institute")
    assert shown.evaluate("image => image.naturalWidth") == 480
    looked_at(page, "branding-own")


def test_it_works_by_keyboard_and_without_javascript(site: Site, open_page: OpenPage) -> None:
    lab = laboratory(site.database)
    user(site.database, member_of=lab.service_id, role="admin")
    page = open_page(viewport=WIDE, java_script_enabled=False)
    sign_in(page, site, address=f"/portal/services/{lab.service_id}/settings/branding")
    group = page.get_by_role("group", name="Sender’s name", exact=True)
    group.get_by_role("radio").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(page.get_by_role("textbox", name="Name", exact=True)).to_be_focused()
    page.keyboard.type("Aurora")
    page.get_by_role("button", name="Show what it looks like").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("From Aurora <")).to_be_visible()
    page.get_by_role("button", name="Save the branding").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Settings", exact=True)).to_be_visible()
    sources.clear()
    assert sources.brand(lab.service_id).sender_name == "Aurora"
