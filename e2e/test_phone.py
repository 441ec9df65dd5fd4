"""Everything of a service's daily pages at phone width: 320 px wide, by touch, with nothing sticking out."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from backend.db.models.notifications import DeliveryStatus
from e2e.opened_pages import NARROW, fits, picture
from e2e.site import Site, sign_in
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import user


@pytest.fixture
def lab(site: Site) -> Desk:
    made = desk(site.database)
    user(site.database, member_of=made.lab.service_id, role="editor")
    made.accept("S-1", recipient=["X_TWO"], subject="Deployment of the accessioning service on Thursday")
    made.finish(DeliveryStatus.SENT, "250 2.0.0 Ok: queued as 4WxYz1", most=1)
    made.finish(DeliveryStatus.FAILED, "550 5.1.1 <night@lab.example>: Recipient address rejected: User unknown")
    made.refused()
    made.buffer("S-2", "S-3", aggregator_id="manifest-21784312-of-the-second-floor")
    return made


def test_the_pages_of_a_service_fit_a_phone(
    site: Site, lab: Desk, open_page: Callable[..., Page], axe: Callable[[Page], None]
) -> None:
    page = open_page(viewport=NARROW, has_touch=True, reduced_motion="reduce")
    sign_in(page, site, address=lab.home)
    fits(page)
    page.get_by_text("The same as a table").tap()
    fits(page)

    for name, heading in (("Notifications", "Notifications"), ("Batches", "Batches"), ("Guide", "Guide")):
        page.locator("summary", has_text="Menu").tap()
        if name == "Guide":
            axe(page)  # with the menu open; the pages themselves are looked at elsewhere
            picture(page, "phone-menu")
        page.locator(".menu-narrow").get_by_role("link", name=name, exact=True).tap()
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        fits(page)

    page.goto(f"{site.url}{lab.home}/notifications")
    page.locator("summary", has_text="Filters").tap()
    page.get_by_label("Recipient").fill("X_TWO")
    page.get_by_role("button", name="Filter", exact=True).tap()
    expect(page.locator(".row")).to_have_count(1)
    fits(page)
    page.get_by_role("link", name="Deployment of the accessioning").tap()
    expect(page.get_by_role("button", name="Send again")).to_be_visible()
    fits(page)
    page.goto(f"{site.url}{lab.home}/batches")
    page.get_by_role("link", name="manifest-21784312").tap()
    expect(page.get_by_role("button", name="Send now")).to_be_visible()
    fits(page)
