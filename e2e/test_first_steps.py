"""A new service's first steps tick themselves, and the guide's lines run as they are pasted."""

import subprocess
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from backend.accounts import clients, services
from backend.db.database import Database
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from e2e.opened_pages import WIDE
from e2e.site import Site, sign_in
from tests.factories import Laboratory
from tests.portal.people_and_messages import service, user


@pytest.fixture
def laboratory_id(database: Database) -> int:
    identity = service(database)
    user(database, member_of=identity, role="admin")
    routes.routes.cache_clear()
    return identity


def paste(lines: str, secret: str) -> str:
    """Run lines in a shell as if they had been pasted, with the secret typed where it is asked for."""
    done = subprocess.run(
        ["bash", "-c", lines], check=False, input=f"{secret}\n", capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_from_nothing_to_the_first_notification(
    site: Site,
    laboratory_id: int,
    open_page: Callable[..., Page],
) -> None:
    home = f"/portal/services/{laboratory_id}"
    page = open_page(viewport=WIDE, reduced_motion="reduce")
    sign_in(page, site, address=home)
    expect(page.get_by_text("0 of 5 done")).to_be_visible()
    page.get_by_role("link", name="Send the first notification").click()
    expect(page.get_by_text("none yet")).to_have_count(3)

    with site.database.transaction() as session:
        owner = services.service_by_id(session, laboratory_id)
        assert owner is not None
        client = clients.create_client(session, owner, "lims")
    lab = Laboratory(site.database, laboratory_id, client)
    lab.recipient("X_LAB", ("EMAIL", "lab@lab.example"))
    lab.template("X_SAMPLE", sample_fields={"sample_id": "S-1"})
    page.reload()
    expect(page.get_by_text("none yet")).to_have_count(0)
    commands = [
        page.get_by_label(name, exact=True).inner_text()
        for name in ("The commands that get a token", "The command that sends")
    ]
    answer = paste("\n".join(commands), client.client_secret)
    assert '"status":"DISPATCHED"' in answer
    while Sender("worker-one").send_some():
        pass

    page.get_by_role("link", name="Home").click()
    expect(page.get_by_text("4 of 5 done")).to_be_visible()
    expect(page.get_by_role("link", name="Go live")).to_have_attribute("href", f"{home}/settings")
    page.get_by_role("link", name="Outbox", exact=True).click()
    page.get_by_role("link", name="Sample not accessioned").click()
    expect(page.frame_locator("iframe.rendition").get_by_role("heading", name="Sample S-1")).to_be_visible()
    page.get_by_role("link", name="What happened to it").click()
    expect(page.locator("#story .state-row")).to_contain_text("In outbox")
