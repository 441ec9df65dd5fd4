"""By keyboard alone: each journey of an editor and an administrator, from its first page to its end."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select, update

from backend.db.models.accounts import Membership
from backend.db.models.jobs import Job
from backend.jobs import tasks
from e2e.keyboard import focused, follow, go_to, leave_editor, press
from e2e.opened_pages import WIDE
from e2e.site import sign_in
from e2e.workshop import Workshop

OpenPage = Callable[..., Page]


@pytest.fixture
def page(workshop: Workshop, open_page: OpenPage) -> Page:
    """Give the page of the service's administrator."""
    with workshop.site.database.transaction() as session:
        session.execute(update(Membership).values(role="admin"))
    opened = open_page(viewport=WIDE, reduced_motion="reduce")
    sign_in(opened, workshop.site, address=workshop.address())
    return opened


def test_a_template_a_client_and_a_colleague(workshop: Workshop, page: Page) -> None:
    follow(page, "Templates")
    follow(page, "New template")
    go_to(page, "Name")
    page.keyboard.type("Plate report")
    go_to(page, "MJML")
    press(page, "ArrowDown", "ArrowDown")
    assert focused(page)["name"].startswith("Markdown")
    follow(page, "Open in the editor")
    page.wait_for_url("**/PLATE_REPORT")
    go_to(page, "Subject")
    page.keyboard.type("About {{ sample_id }}")
    go_to(page, "Editor content, press")
    press(page, "Enter", "Control+a")
    page.keyboard.type("# Sample {{ sample_id }}")
    leave_editor(page)
    go_to(page, "Fields, as JSON")
    press(page, "Control+a")
    page.keyboard.type('{"sample_id": "S-1"}')
    expect(page.frame_locator("#frame").get_by_role("heading", name="Sample S-1")).to_be_visible()
    # What refreshes itself beside it leaves the focus where it is.
    assert focused(page)["name"].startswith("Fields, as JSON")
    press(page, "Control+s")
    expect(page.locator("#news")).to_have_text("The draft is saved.")
    assert focused(page)["name"].startswith("Fields, as JSON")
    follow(page, "Publish version 1…", "Shift+Tab")
    expect(page.get_by_role("heading", name="Publish version 1")).to_be_visible()
    follow(page, "Publish version 1")
    expect(page.get_by_text("Version 1 is published: messages")).to_be_visible()

    follow(page, "API clients")
    follow(page, "New API client")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    press(page, "Enter")  # with nothing in it: the fault is said and the field has the focus
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("lims-production")
    follow(page, "Make the API client")
    expect(page.get_by_text("This is the client’s secret.")).to_be_visible()
    go_to(page, "Copy the client secret")

    follow(page, "Team")
    go_to(page, "E-mail address")
    page.keyboard.type("eve@lab.example")
    go_to(page, "Viewer")
    press(page, "ArrowDown")
    expect(page.get_by_role("radio", name="Editor")).to_be_checked()
    follow(page, "Send the invitation")
    expect(page.get_by_role("status").filter(has_text="The invitation to eve@lab.example")).to_be_visible()


def agree(page: Page, asks: str, way_out: str) -> None:
    """Press a button that asks, whose question has the focus on the way out, and agree."""
    go_to(page, asks)
    press(page, "Enter")
    expect(page.get_by_role("button", name=way_out)).to_be_focused()
    press(page, "Shift+Tab", "Enter")


def test_a_failure_a_batch_and_a_spreadsheet(workshop: Workshop, page: Page, tmp_path: Path) -> None:
    workshop.server.script.replies["lab@lab.example"] = "554 5.7.1 Refused by the policy of today"
    workshop.send("S-1")
    workshop.work()
    workshop.server.script.replies.clear()
    follow(page, "Notifications")
    follow(page, "A sample has failed")
    expect(page.get_by_role("button", name="Send again")).to_be_visible()
    follow(page, "Send again")
    expect(page.get_by_text("1 message is queued again.")).to_be_visible()
    go_to(page, "Copy the notification's id")
    workshop.work()
    # The story comes anew by itself and leaves the focus where it is.
    expect(page.locator("#story .state-row")).to_contain_text("Sent")
    assert focused(page)["name"] == "Copy the notification's id"

    workshop.buffer("S-2", "S-3")
    follow(page, "Batches")
    follow(page, "manifest-21784312")
    agree(page, "Take out number 2", "Leave it in")
    expect(page.get_by_text("Taken out; it is not sent with this batch.")).to_be_visible()
    agree(page, "Send now", "Not yet")
    expect(page.get_by_text("The batch is on its way.")).to_be_visible()
    workshop.work()
    assert len(workshop.server.messages) == 2

    file = tmp_path / "people.csv"
    file.write_text("email address,sample_id\nbob@lab.example,S-4\n", encoding="utf-8")
    # Asked for early: it takes the browser a moment to hand its choosers over, and a key that comes before is lost.
    page.on("filechooser", lambda _chooser: None)
    follow(page, "Jobs")
    follow(page, "Send by spreadsheet")
    go_to(page, "Template")
    press(page, "ArrowDown")
    expect(page.get_by_label("Template", exact=True)).to_have_value("X_SAMPLE")
    go_to(page, "File")
    with page.expect_file_chooser() as chooser:
        press(page, "Enter")
    chooser.value.set_files(file)
    go_to(page, "Subject")
    page.keyboard.type("A sample")
    follow(page, "Upload and check")
    expect(page.locator("#job-state")).to_contain_text("Being checked")
    with workshop.site.database.read() as session:
        job_id = session.scalars(select(Job.id)).one()
    tasks.turn.run(job_id)
    expect(page.get_by_role("button", name="Send 1 row")).to_be_visible()
    follow(page, "Send 1 row")
    expect(page.get_by_text("The messages are on their way.")).to_be_visible()
    tasks.turn.run(job_id)
    workshop.work()
    assert workshop.server.messages[-1].envelope_to == "bob@lab.example"
