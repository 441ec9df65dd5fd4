"""A message is refused by the mail server; its editor sees why on the home page, mends it, and sends it again."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from e2e.opened_pages import WIDE
from e2e.site import sign_in
from e2e.workshop import Workshop
from tests.portal.people_and_messages import user


def test_what_failed_goes_again_and_arrives(workshop: Workshop, open_page: Callable[..., Page]) -> None:
    workshop.server.script.replies["night@lab.example"] = "554 5.7.1 Refused by the policy of today"
    workshop.send("S-1", recipient=["X_TWO"])
    workshop.work()
    page = open_page(viewport=WIDE, reduced_motion="reduce")
    sign_in(page, workshop.site, address=workshop.address())
    failing = page.get_by_role("region", name="Failing now")
    expect(failing).to_contain_text("Refused by the policy")
    failing.get_by_role("link", name="Look").click()
    expect(page.locator("#story")).to_contain_text("Partly sent")
    expect(page.get_by_text("Refused for good for night@lab.example")).to_be_visible()

    workshop.server.script.replies.clear()
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("1 message is queued again.")).to_be_visible()
    workshop.work()
    expect(page.locator("#story .state-row")).to_contain_text("Sent")
    expect(page.get_by_role("button", name="Send again")).to_have_count(0)
    expect(page.get_by_text("asked for by ada@lab.example")).to_be_visible()
    assert sorted(mail.envelope_to for mail in workshop.server.messages) == ["lab@lab.example", "night@lab.example"]
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="Last 7 days")).to_be_visible()
    expect(page.get_by_role("heading", name="Failing now")).to_have_count(0)


def test_what_waits_is_cancelled_by_keyboard_and_without_javascript(
    workshop: Workshop, open_page: Callable[..., Page]
) -> None:
    first, second = workshop.send("S-1"), workshop.send("S-2")
    page = open_page(viewport=WIDE)
    sign_in(page, workshop.site, address=workshop.address(f"/notifications/{first}"))
    page.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Cancel this notification?")).to_be_visible()
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 message is cancelled.")).to_be_visible()
    expect(page.locator("#story .state-row")).to_contain_text("Cancelled")

    plain = open_page(viewport=WIDE, java_script_enabled=False)
    sign_in(plain, workshop.site, address=workshop.address(f"/notifications/{second}"))
    plain.get_by_role("button", name="Cancel").click()
    plain.get_by_role("button", name="Cancel the message").click()
    expect(plain.locator("#story .state-row")).to_contain_text("Cancelled")
    workshop.work()
    assert workshop.server.messages == []


def test_a_viewer_sees_the_failure_and_no_button(workshop: Workshop, open_page: Callable[..., Page]) -> None:
    workshop.server.script.replies["lab@lab.example"] = "554 5.7.1 Refused by the policy of today"
    uid = workshop.send("S-1")
    workshop.work()
    user(workshop.site.database, "grace@lab.example", member_of=workshop.desk.lab.service_id, role="viewer")
    page = open_page(viewport=WIDE)
    sign_in(page, workshop.site, "grace@lab.example", workshop.address(f"/notifications/{uid}"))
    expect(page.locator("#story")).to_contain_text("Refused by the policy")
    expect(page.get_by_role("main").get_by_role("button", name="Send again")).to_have_count(0)


def test_a_group_of_failures_goes_to_the_new_mailbox_in_one_step_without_javascript(
    workshop: Workshop, open_page: Callable[..., Page]
) -> None:
    workshop.desk.lab.recipient("X_MOVED", ("EMAIL", "old.office@lab.example"))
    workshop.server.script.replies["old.office@lab.example"] = "550 5.1.1 User unknown"
    workshop.send("S-1", recipient=["X_MOVED"])
    workshop.send("S-2", recipient=["X_MOVED"])
    workshop.work()
    page = open_page(viewport=WIDE, java_script_enabled=False)
    sign_in(page, workshop.site, address=workshop.address())
    page.get_by_role("link", name="Mend what fails for X_MOVED").click()
    expect(page.get_by_text("2 stay, since the address is suppressed")).to_be_visible()

    workshop.desk.lab.recipient("X_MOVED", ("EMAIL", "new.office@lab.example"))
    page.reload()
    expect(page.get_by_text("2 messages go to 1 address, 2 of them to a new one")).to_be_visible()
    page.get_by_role("button", name="Send 2 messages again").click()
    expect(page.get_by_role("heading", name="Sent again")).to_be_visible()
    workshop.work()
    page.reload()
    expect(page.get_by_text("in place of old.office@lab.example").first).to_be_visible()
    assert [mail.envelope_to for mail in workshop.server.messages] == ["new.office@lab.example"] * 2
    page.get_by_role("link", name="new.office@lab.example").first.click()
    expect(page.get_by_role("heading", name="What was sent to it")).to_be_visible()
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="Failing now")).to_have_count(0)
