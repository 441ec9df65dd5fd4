"""Lists and pictures in a browser: filters wait for their button, files come, charts fill, a picture chooses."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from backend.db.models.notifications import DeliveryStatus
from e2e.opened_pages import WIDE
from e2e.site import Site, sign_in
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import user

OpenPage = Callable[..., Page]
NARROW = {"width": 390, "height": 844}
# Of a chart's card, so much of its width at least is bars.
_FILLED = 0.9


@pytest.fixture
def made(site: Site) -> Desk:
    found = desk(site.database)
    user(site.database, member_of=found.lab.service_id, role="editor")
    for number in range(3):
        found.accept(f"S-{number}")
    found.finish(DeliveryStatus.SENT, "250 Ok")
    return found


def test_filters_wait_for_their_button_and_the_list_comes_as_a_file(
    site: Site, open_page: OpenPage, made: Desk
) -> None:
    page = open_page(viewport=WIDE)
    sign_in(page, site, address=f"{made.home}/templates")
    before = page.url
    page.get_by_label("Format").select_option("text")
    page.get_by_label("Format").press("Tab")
    expect(page.get_by_role("link", name="X_Sample")).to_be_visible()
    assert page.url == before
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("No template fits")).to_be_visible()
    page.goto(before)
    for kind, ending in (("CSV", ".csv"), ("Excel workbook (.xlsx)", ".xlsx")):
        with page.expect_download() as download:
            page.locator(".downloads").get_by_role("link", name=kind).click()
        assert download.value.suggested_filename.endswith(ending)
        assert Path(download.value.path()).stat().st_size > 100


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_charts_fill_their_cards(site: Site, open_page: OpenPage, made: Desk, viewport: dict[str, int]) -> None:
    page = open_page(viewport=viewport)
    sign_in(page, site, address=made.home)
    for address, days in ((made.home, 7), (f"{made.home}/usage", 30), (f"{made.home}/usage?days=90", 90)):
        page.goto(f"{site.url}{address}")
        bars = page.locator(".chart-bar")
        expect(bars).to_have_count(days)
        card = page.locator(".card:has(.chart)").bounding_box()
        first, last = bars.first.bounding_box(), bars.last.bounding_box()
        assert card is not None
        assert first is not None
        assert last is not None
        across = last["x"] + last["width"] - first["x"]
        assert _FILLED * (card["width"] - 48) <= across <= card["width"], (address, across, card["width"])


def test_a_starter_is_chosen_by_its_picture(site: Site, open_page: OpenPage, made: Desk) -> None:
    page = open_page(viewport=WIDE)
    sign_in(page, site, address=f"{made.home}/templates/new")
    for at in (1, 0):
        card = page.locator(".start-pictured").nth(at)
        picture = card.locator("iframe")
        picture.scroll_into_view_if_needed()
        box = picture.bounding_box()
        assert box
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + min(box["height"] / 2, 60))
        expect(card.get_by_role("radio")).to_be_checked()
