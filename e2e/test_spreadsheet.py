"""An editor uploads a spreadsheet, looks at what would go and what would not, sends it, and sends the failed again."""

from collections.abc import Callable

from playwright.sync_api import Page, expect
from sqlalchemy import select

from backend.db.models.jobs import Job
from backend.jobs import tasks
from e2e.opened_pages import WIDE, picture
from e2e.site import sign_in
from e2e.workshop import Workshop

CSV = b"email address,sample_id\nada@lab.example,S-1\nnobody,S-2\nbob@lab.example,S-3\n"


def work(workshop: Workshop) -> None:
    """Do what a worker does for the one job."""
    with workshop.site.database.read() as session:
        job_id = session.scalars(select(Job.id)).one()
    tasks.turn.run(job_id)


def test_a_spreadsheet_is_sent(workshop: Workshop, open_page: Callable[..., Page], axe: Callable[[Page], None]) -> None:
    page = open_page(viewport=WIDE, reduced_motion="reduce")
    sign_in(page, workshop.site, address=workshop.address("/jobs"))
    page.get_by_role("link", name="Send by spreadsheet").first.click()
    page.get_by_label("Template", exact=True).select_option("X_SAMPLE")
    page.get_by_label("Subject").fill("A sample")
    page.get_by_label("File", exact=True).set_input_files({"name": "p.csv", "mimeType": "text/csv", "buffer": CSV})
    page.get_by_role("button", name="Upload and check").click()
    expect(page.locator("#job-state")).to_contain_text("Being checked")
    work(workshop)
    # The page finds out by itself that the check is over.
    send = page.get_by_role("button", name="Send 2 rows")
    expect(send).to_be_visible()
    expect(page.frame_locator("iframe.rendition").get_by_role("heading")).to_have_text("Sample S-1")
    expect(page.get_by_text("this one is not of the form name@domain").first).to_be_visible()
    send.click()
    expect(page.get_by_text("The messages are on their way.")).to_be_visible()
    work(workshop)
    workshop.work()
    expect(page.locator("#job-state .state-row")).to_contain_text("Finished")
    expect(page.locator(".job-counts")).to_contain_text("2")
    assert sorted(message.envelope_to for message in workshop.server.messages) == ["ada@lab.example", "bob@lab.example"]
    axe(page)
    picture(page, "job-sent")
