"""The handbook in a browser: every page readable in each scheme, by keyboard and without a script."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from backend.api import handbook_pages
from e2e import opened_pages
from e2e.opened_pages import WIDE
from e2e.site import Site

OpenPage = Callable[..., Page]
NAMES = sorted(handbook_pages.names())


@pytest.mark.timeout(600)
def test_every_page_keeps_nobody_out_and_fits(site: Site, open_page: OpenPage) -> None:
    page = open_page(viewport=WIDE)
    opened_pages.keep_axe(page)
    for name in NAMES:
        answer = page.goto(f"{site.url}/docs/guide/{name}".rstrip("/"))
        assert answer is not None
        assert answer.status == 200, name
        opened_pages.keeps_nobody_out(page)
        opened_pages.fits_everywhere(page, f"handbook-{name.replace('/', '-') or 'contents'}")


def test_it_is_read_without_a_script(site: Site, open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{site.url}/docs")
    page.get_by_role("link", name="Handbook", exact=True).first.click()
    page.get_by_role("link", name="Alerts", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Alerts")
    page.get_by_role("navigation", name="Handbook").get_by_role("link", name="CarillonHeld").click()
    expect(page.get_by_role("heading", name="CarillonHeld")).to_be_in_viewport()
    page.get_by_role("link", name="backups that are put back").click()
    expect(page.get_by_role("heading", name="Backups that are put back")).to_be_in_viewport()


def test_its_pictures_are_there(site: Site, open_page: OpenPage) -> None:
    page = open_page()
    page.goto(f"{site.url}/docs/guide/architecture")
    pictures = page.locator(".handbook img")
    expect(pictures).to_have_count(3)
    for number in range(3):
        expect(pictures.nth(number)).to_have_js_property("complete", value=True)
        assert pictures.nth(number).evaluate("one => one.naturalWidth") > 100
