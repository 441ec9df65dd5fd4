"""When messages leave: a window, a mute and a throttle, set without a script and seen wherever something waits."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from backend.lib import clock
from e2e.opened_pages import NARROW, WIDE, fits
from e2e.site import Site, sign_in
from tests.portal.desk import Desk, desk
from tests.portal.people_and_messages import user

OpenPage = Callable[..., Page]
Look = Callable[[Page, str], None]


@pytest.fixture
def lab(site: Site) -> Desk:
    made = desk(site.database)
    user(site.database, member_of=made.lab.service_id, role="admin")
    return made


def test_a_window_a_mute_and_a_throttle(site: Site, lab: Desk, open_page: OpenPage, looked_at: Look) -> None:
    page = open_page(viewport=WIDE, java_script_enabled=False)
    sign_in(page, site, address=f"{lab.home}/recipients/X_LAB")
    expect(page.get_by_text("None: messages leave at any time.")).to_be_visible()
    page.get_by_role("link", name="Change the window, or mute it").click()

    page.get_by_label("Until", exact=True).fill(f"{clock.now() + timedelta(days=2):%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Mute X_LAB").click()
    expect(page.get_by_role("alert")).to_contain_text("Say why")
    page.get_by_label("Reason").fill("The freezers are being moved")
    page.get_by_role("button", name="Mute X_LAB").click()
    expect(page.get_by_text("It is muted. What comes meanwhile waits.")).to_be_visible()

    page.get_by_label("From").fill("08:00")
    page.get_by_label("To", exact=True).fill("18:00")
    page.get_by_label("Time zone").last.fill("Europe/Londen")
    page.get_by_role("button", name="Save the window").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no time zone 'Europe/Londen'")
    page.get_by_label("Time zone").last.fill("Europe/London")
    page.get_by_label("Not on").fill("GB-ENG, 2026-12-24")
    page.get_by_role("button", name="Save the window").click()
    expect(page.get_by_text("weekdays 08:00–18:00 (Europe/London)")).to_be_visible()
    expect(page.get_by_text("The freezers are being moved")).to_be_visible()

    lab.accept("S-1")
    page.goto(f"{site.url}{lab.home}/notifications")
    expect(page.get_by_text("The recipient X_LAB is muted until")).to_be_visible()
    page.get_by_role("link", name="A sample has failed").first.click()
    expect(page.get_by_text("The recipient X_LAB is muted until").first).to_be_visible()

    page.goto(f"{site.url}{lab.home}/recipients/X_LAB/sending")
    page.get_by_role("button", name="End the mute now").click()
    expect(page.get_by_text("The mute is over. What waited for it leaves.")).to_be_visible()

    page.goto(f"{site.url}{lab.home}/templates/X_SAMPLE/sending")
    page.get_by_label("Messages to one recipient, at most").fill("0")
    page.get_by_role("button", name="Save the throttle").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Messages to one recipient, at most").fill("5")
    page.get_by_role("button", name="Save the throttle").click()
    expect(page.get_by_text("The throttle is saved.")).to_be_visible()


def test_the_pages_look_well(site: Site, lab: Desk, open_page: OpenPage, looked_at: Look) -> None:
    page = open_page(viewport=WIDE)
    sign_in(page, site, address=f"{lab.home}/settings/sending")
    looked_at(page, "sending-rules-of-the-service")
    page.goto(f"{site.url}{lab.home}/recipients/X_LAB/sending")
    looked_at(page, "sending-rules-of-a-recipient")
    page.set_viewport_size(NARROW)
    fits(page)
