"""A batch gathers; its editor looks at what would go, takes one out, holds it back, and sends it now."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from e2e.opened_pages import WIDE
from e2e.site import sign_in
from e2e.workshop import Workshop


def test_a_batch_is_looked_into_and_sent(workshop: Workshop, open_page: Callable[..., Page]) -> None:
    page = open_page(viewport=WIDE, reduced_motion="reduce")
    sign_in(page, workshop.site, address=workshop.address("/batches"))
    expect(page.get_by_role("heading", name="No batch waits")).to_be_visible()
    workshop.buffer("S-1", "S-2", "S-3")
    page.reload()
    expect(page.locator("[data-countdown]")).to_have_text(re.compile(r"^in 0:[0-5]\d$"))
    page.get_by_role("link", name="manifest-21784312").click()
    message = page.frame_locator("iframe.rendition")
    expect(message.get_by_role("listitem")).to_have_text(["S-1", "S-2", "S-3"])

    page.get_by_role("button", name="Take out number 2").click()
    page.get_by_role("button", name="Take it out").click()
    expect(page.get_by_text("Taken out; it is not sent with this batch.")).to_be_visible()
    expect(message.get_by_role("listitem")).to_have_text(["S-1", "S-3"])
    page.get_by_role("button", name="Hold back").click()
    expect(page.locator("#batch-state .state-row")).to_contain_text("Held back")
    workshop.work()
    assert workshop.server.messages == []
    page.get_by_role("button", name="Send now").click()
    page.get_by_role("button", name="Send it", exact=True).click()
    expect(page.get_by_text("The batch is on its way.")).to_be_visible()
    workshop.work()
    expect(page.locator("#batch-state .state-row")).to_contain_text("Sent")
    (mail,) = workshop.server.messages
    body = mail.parsed.get_body(("html",))
    assert body is not None
    assert "<li>S-1</li><li>S-3</li>" in body.get_content()
    page.get_by_role("link", name="Batches", exact=True).first.click()
    expect(page.get_by_role("heading", name="Gone lately")).to_be_visible()
