"""Times in the reader's zone with UTC beside them, and in UTC alone without JavaScript."""

from collections.abc import Callable
from datetime import UTC, datetime

from playwright.sync_api import Page, expect

from backend.db.models.notifications import DeliveryStatus
from e2e.opened_pages import WIDE
from e2e.site import Site, sign_in
from tests.portal.desk import desk
from tests.portal.people_and_messages import user

OpenPage = Callable[..., Page]


def test_times_are_written_in_the_zone_of_the_reader(site: Site, open_page: OpenPage) -> None:
    made = desk(site.database)
    user(site.database, member_of=made.lab.service_id, role="viewer")
    address = f"{made.home}/notifications/{made.accept('S-1')}"
    made.finish(DeliveryStatus.SENT, "250 Ok")
    page = open_page(viewport=WIDE, timezone_id="Pacific/Kiritimati")  # 14 hours ahead: often another day
    sign_in(page, site, address=address)
    came_in = page.locator("time.zoned").first
    moment = datetime.fromisoformat(came_in.get_attribute("datetime") or "").astimezone(UTC)
    expect(came_in).to_contain_text("GMT+14")
    expect(came_in).to_contain_text(f"{moment:%H:%M:%S} UTC")
    expect(page.locator("time.clock").first).to_contain_text(f"{(moment.hour + 14) % 24:02}:{moment:%M:%S}")
    expect(page.locator("time.clock .clock-utc").first).to_have_text(f"{moment:%H:%M:%S} UTC")
    expect(page.locator("time.moment").first).to_have_attribute("data-exact", came_in.inner_text())

    plain = open_page(viewport=WIDE, timezone_id="Pacific/Kiritimati", java_script_enabled=False)
    sign_in(plain, site, address=address)
    expect(plain.locator("time.zoned").first).to_have_text(f"{moment.day} {moment:%b %Y, %H:%M:%S} UTC")
    expect(plain.locator("time.clock").first).to_contain_text(f"{moment:%H:%M:%S}")
