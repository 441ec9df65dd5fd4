"""Finding a notification: by keyboard and without JavaScript, on a wide page and on a phone."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from backend.db.models.notifications import DeliveryStatus
from e2e.opened_pages import NARROW, WIDE, fits, in_scheme
from e2e.site import Site, sign_in
from tests.portal.desk import desk
from tests.portal.people_and_messages import user
from tests.search.conftest import gathered


def furnished(site: Site) -> str:
    """Make a few notifications that can be found; return the address of their list."""
    made = desk(site.database)
    user(site.database, member_of=made.lab.service_id, role="viewer")
    made.lab.template("X_NAMED", subject="Sample {{ sample_id }} has failed")
    for name in ("Müller", "Curie", "Noether"):
        made.accept(subject=..., template_id="X_NAMED", fields={"sample_id": f"S-{name}", "person": {"name": name}})
    made.finish(DeliveryStatus.FAILED, "550 5.1.1 <lab@lab.example>: Recipient address rejected: User unknown", most=1)
    gathered(site.database)
    return f"{made.home}/notifications"


def test_by_keyboard_it_is_found_and_says_where(
    site: Site, open_page: Callable[..., Page], axe: Callable[[Page], None]
) -> None:
    page = open_page(viewport=WIDE, reduced_motion="reduce")
    sign_in(page, site, address=furnished(site))
    expect(page.get_by_role("columnheader")).to_have_text(["Status", "Subject", "To", "Came in"])
    expect(page.locator(".list-fault")).to_contain_text("User unknown")
    page.keyboard.press("/")
    box = page.get_by_role("searchbox", name="Search notifications")
    expect(box).to_be_focused()
    page.keyboard.type("failed zebra muller")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing found for")).to_be_visible()
    axe(page)
    page.keyboard.press("/")
    page.keyboard.type("failed muller")
    page.keyboard.press("Enter")
    expect(page.locator(".row")).to_have_count(1)
    expect(page.get_by_role("status").filter(has_text="1 found.")).to_be_visible()
    expect(page.locator("mark").first).to_have_text("Müller")
    expect(box).to_have_value("failed muller")
    for scheme in ("light", "dark"):
        in_scheme(page, scheme)
        axe(page)


def test_without_javascript_on_a_phone_it_is_found_too(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(viewport=NARROW, java_script_enabled=False)
    sign_in(page, site, address=furnished(site))
    page.get_by_role("searchbox", name="Search notifications").fill("lab@lab.example curie")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator(".row")).to_contain_text("Sample S-Curie has failed")
    page.get_by_role("link", name="Sample S-Curie has failed").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sample S-Curie has failed")
    page.go_back()
    fits(page)
