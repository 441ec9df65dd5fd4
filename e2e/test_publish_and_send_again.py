"""Publishing in a browser after a look at what failed: published, sent again, and reported in one step."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from backend.intake.accept import accept_many
from backend.registry import drafts
from backend.registry.drafts import Key
from backend.registry.templates import TemplateContent
from e2e.opened_pages import WIDE
from e2e.site import Site, sign_in
from tests.factories import laboratory, notification
from tests.portal.people_and_messages import user

OpenPage = Callable[..., Page]
Look = Callable[[Page, str], None]
NEEDY = "<p>{{ fields.sample_id }} {{ fields.volume }}</p>"


@pytest.mark.parametrize("with_script", [True, False])
def test_what_failed_goes_when_the_mended_text_is_published(
    site: Site, open_page: OpenPage, looked_at: Look, *, with_script: bool
) -> None:
    lab = laboratory(site.database)
    lab.template("X_SAMPLE", NEEDY)
    user(site.database, member_of=lab.service_id, role="editor")
    for number in range(3):
        recipient = "X_NOBODY" if number == 2 else "X_LAB"
        accept_many([lab.submission(notification(f"S-{number}", recipient=[recipient]))], lambda _priorities: None)
    with site.database.transaction() as session:
        key = Key(lab.service_id, "X_SAMPLE")
        text = TemplateContent(name="Sample", format="html", source=NEEDY.replace(".volume", ".volume | default('–')"))
        drafts.save(session, key, text, drafts.working(session, key).revision, "ada@lab.example")
    page = open_page(viewport=WIDE, java_script_enabled=with_script)
    sign_in(page, site, address=f"/portal/services/{lab.service_id}/templates/X_SAMPLE/publish")
    expect(page.get_by_text("2 of 3 that failed within the last week would now go.")).to_be_visible()
    if with_script:
        looked_at(page, "publish-with-failures")
    page.get_by_role("button", name="Publish, and send those 2 again").click(click_count=2 if with_script else 1)
    expect(page.get_by_role("heading", name="Sent again")).to_be_visible()
    expect(page.get_by_text("What X_SAMPLE could not make before its version 3.")).to_be_visible()
    expect(page.get_by_text("2 were accepted or made this time.")).to_be_visible()
