"""Every page that is a list goes out as CSV and as a workbook: with its rows, no formula in it, to its team alone."""

import re
from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import String, cast, literal, update

from backend.db.database import Database
from backend.db.models.accounts import ApiClient, GroupRole
from backend.db.models.batches import Batch
from backend.db.models.jobs import Job
from backend.db.models.notifications import OutboxMessage
from backend.db.models.obligations import Policy
from backend.db.models.receipts import Suppression
from backend.db.models.registry import Recipient, TemplateVersion
from tests.portal.conftest import Browser
from tests.portal.furnished import LONG, PLATFORM_ADMIN, Furnished, furnish
from tests.portal.people_and_messages import PASSWORD, service, user
from tests.portal.test_downloads import as_csv, as_workbook

# Pages with a table that is no list of things of the service: what is told of one thing, and a form's.
_OF_ONE_THING = {
    "account": "the browsers of who looks",
    "admin-doctor": "what was looked at just now",
    "admin-organisations-one": "services, which their own list holds",
    "admin-providers": "the settings' providers",
    "service-batches-one": "members of a batch, which the API gives",
    "service-clients-one": "secrets of a client, by their ends",
    "service-clients-one-callback": "the latest messages of one callback address",
    "service-guide": "the addresses of the simulator",
    "service-matters-one": "the conversation of one matter",
    "service-recipients-one": "the addresses of one recipient, which the recipients' file holds",
    "service-settings": "tokens, by their ends",
    "service-settings-senders": "the sender's addresses, which are settings",
    "service-templates-one-publish": "a trial",
    "service-templates-one-versions": "versions, which templates as code hold",
}
_FORMULA = '=HYPERLINK("https://evil.example")'
# What people and programs may name as they like, list by list.
_NAMED = (
    Batch.subject,
    OutboxMessage.subject,
    Job.name,
    ApiClient.name,
    TemplateVersion.name,
    Policy.name,
    Recipient.name,
    Suppression.detail,
    GroupRole.group_name,
)
_NO_FREE_WORDS = {"team", "worklist", "users", "services", "organisations", "notifications", "messages", "audit"}


@pytest.fixture
def furnished(database: Database) -> Furnished:
    return furnish(database)


def lists(browser: Browser, furnished: Furnished, application: Litestar) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the name of every page with a table, the page, and the addresses of what it lets be downloaded."""
    browser.sign_in(PLATFORM_ADMIN, PASSWORD)
    for name, address in furnished.addresses(application):
        if address.endswith((".csv", ".xlsx")):
            continue
        page = browser.get(address)
        if page.headers["content-type"].startswith("text/html") and "table-frame" in page.text:
            links = re.findall(r'<a href="([^"]+)" download>', page.text)
            yield name, page.text, [link.replace("&amp;", "&") for link in links]


def test_every_list_is_given_as_it_stands_and_to_its_team_alone(
    browser: Browser, client: TestClient[Litestar], furnished: Furnished, database: Database
) -> None:
    for column in _NAMED:
        with database.transaction() as session:
            numbered = literal(_FORMULA) + cast(column.class_.id, String)
            session.execute(update(column.class_).values({column: numbered}))
    found: dict[str, str] = {}
    without: set[str] = set()
    for name, page, links in lists(browser, furnished, client.app):
        if not links:
            without.add(name)
            continue
        table, book = links[:2]
        rows = as_csv(browser, table)
        body = page.partition("<tbody>")[2].partition("</tbody>")[0]
        assert len(rows) > body.count("<tr") > 0, name
        assert len({len(row) for row in rows}) == 1, name
        assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))], name
        words = [["" if cell is None else str(cell).lstrip("'") for cell in row] for row in as_workbook(browser, book)]
        assert words == [[cell.lstrip("'") for cell in row] for row in rows], name
        kind = table.rpartition("/")[2].partition(".")[0]
        free = any(cell.startswith(f"'{_FORMULA}") for row in rows for cell in row)
        assert free or kind in _NO_FREE_WORDS or "job" in name, (name, rows)
        found |= dict.fromkeys(links, kind)
    assert without == _OF_ONE_THING.keys(), without ^ _OF_ONE_THING.keys()
    assert len(set(found.values())) >= 17, sorted(set(found.values()))
    of_teams = {link for link in found if link.startswith(furnished.desk.home)}
    _viewers_have_them(browser, of_teams)
    _nobody_else_does(browser, database, furnished.desk.home, of_teams)
    for link in found.keys() - of_teams:
        # The outbox over all services is everybody's, each with the messages of their own.
        if "/outbox." not in link:
            assert browser.get(link).status_code == 403, link
        elif link.endswith(".csv"):
            assert len(as_csv(browser, link)) == 1, link


def _viewers_have_them(browser: Browser, links: set[str]) -> None:
    browser.client.cookies.clear()
    browser.sign_in(f"grace.hopper.of.{LONG}", PASSWORD)
    for link in links:
        assert browser.get(link).status_code == 200, link


def _nobody_else_does(browser: Browser, database: Database, home: str, links: set[str]) -> None:
    """Ask as the administrator of another service: for this one's files, and for those of their own under its names."""
    other = service(database, "Aurora")
    user(database, "eve@aurora.example", member_of=other, role="admin")
    browser.client.cookies.clear()
    browser.sign_in("eve@aurora.example", PASSWORD)
    for link in links:
        assert browser.get(link).status_code == 404, link
        mine = link.replace(home, f"/portal/services/{other}")
        if link.endswith(".csv") and browser.get(mine).status_code == 200:
            words = [row[0] for row in as_csv(browser, mine)[1:]]
            assert words == (["eve@aurora.example"] if "/team." in link else []), mine
