"""What everybody is told while a restored database is held, and the page where the operators decide."""

import re
from collections.abc import Callable

import pytest
from litestar.testing import TestClient
from sqlalchemy import select, update

from backend.accounts.audit import Actor
from backend.api import health
from backend.db.database import Database
from backend.db.models.audit import AuditEntry
from backend.db.models.notifications import Delivery, Notification
from backend.intake.accept import accept_many
from backend.lib import settings
from backend.monitoring import gauges
from backend.restored import decisions
from tests.application import application
from tests.commands.test_doctor import doctor
from tests.factories import laboratory, notification
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import user

PAGE = "/portal/admin/held"
COMMAND = Actor("command", "carillon held hold")
TOKEN = "a-token-for-those-who-scrape"
SCRAPER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def held(database: Database) -> Database:
    """Hold two messages of a service back."""
    lab = laboratory(database)
    accept_many([lab.submission(notification(name)) for name in ("S-1", "S-2")], lambda _priorities: None)
    assert decisions.keep(COMMAND)["delivery"] == 2
    user(database, "root@lab.example", platform_admin=True)
    user(database, member_of=lab.service_id)
    gauges.clear()
    return database


def test_everybody_is_told_and_the_operators_are_shown_the_way(browser: Browser, held: Database) -> None:
    browser.sign_in()
    page = browser.get("/portal", Accept="text/html")
    home = browser.get(page.headers["location"]) if page.status_code == 303 else page
    assert "are held back" in home.text
    assert "the operators decide" in home.text
    assert PAGE not in home.text
    assert browser.get(PAGE).status_code == 403
    browser.send("/portal/sign-out")
    browser.sign_in("root@lab.example")
    told = browser.get("/portal/admin/services").text
    assert f'<a href="{PAGE}">see what would go, and decide</a>' in told


def test_a_notification_s_page_says_that_it_is_held_back_and_not_when_it_is_tried(
    browser: Browser, held: Database
) -> None:
    with held.transaction() as session:
        session.execute(update(Delivery).values(status="RETRYING", attempts=1))
        uid, service_id = session.execute(select(Notification.uid, Notification.service_id).limit(1)).one()
    browser.sign_in()
    page = browser.get(f"/portal/services/{service_id}/notifications/{uid}").text
    assert '<div class="quiet">held back</div>' in page
    assert "next try" not in page
    assert "until the operators decide whether it goes out" in page


def test_an_installation_that_is_not_held_says_nothing_of_it(browser: Browser, database: Database) -> None:
    user(database, "root@lab.example", platform_admin=True)
    browser.sign_in("root@lab.example")
    assert "are held back" not in browser.get("/portal/admin/services").text
    assert "Nothing is held back." in browser.get(PAGE).text


@pytest.mark.parametrize(
    ("decision", "status", "said", "action"),
    [
        ("release", "QUEUED", "2 of Laboratory go out now.", "held.released"),
        ("mark_sent", "SENT", "2 of Laboratory count as sent.", "held.marked_sent"),
        ("cancel", "CANCELLED", "2 of Laboratory are cancelled.", "held.cancelled"),
    ],
)
def test_the_operators_decide(  # noqa: PLR0917
    browser: Browser, held: Database, decision: str, status: str, said: str, action: str
) -> None:
    browser.sign_in("root@lab.example")
    page = browser.get(PAGE).text
    assert re.search(r"2 messages\s+<span[^>]*>2 up to 1 hour</span>", page), page
    done = browser.send(PAGE, decision=decision, service="Laboratory", channel="EMAIL")
    assert (done.status_code, done.headers["location"]) == (303, PAGE)
    after = browser.get(PAGE).text
    assert said in after
    assert "Nothing is held back." in after
    with held.read() as session:
        assert session.scalars(select(Delivery.status).distinct()).all() == [status]
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()
    assert (entry.actor, entry.action) == ("root@lab.example", action)


@pytest.mark.parametrize(
    "form",
    [
        {"decision": "burn", "service": "Laboratory", "channel": "EMAIL"},
        {"decision": "cancel", "service": "Nobody", "channel": "EMAIL"},
        {"decision": "cancel", "service": "Laboratory", "channel": "PIGEON"},
        {},
    ],
)
def test_what_is_not_there_to_decide_about_is_not_found(browser: Browser, held: Database, form: dict[str, str]) -> None:
    browser.sign_in("root@lab.example")
    assert browser.send(PAGE, **form).status_code == 404


def test_whoever_watches_is_told(
    held: Database, configure: Callable[..., settings.Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(METRICS_TOKEN=TOKEN)
    status, found = doctor()
    assert status == 1
    assert found["held"][0] == "FAULT"
    assert found["held"][1].startswith("2 messages, batches, callbacks and jobs are held back since ")
    assert "carillon held hold asked for it. `carillon held` shows them" in found["held"][1]
    with TestClient(application()) as client:
        answer = client.get("/readyz")
        figures = client.get("/metrics", headers=SCRAPER).text
        decisions.decide(decisions.Decision.CANCEL, decisions.Wanted(), COMMAND)
        monkeypatch.setattr(health, "_FRESH_SECONDS", 0.0)
        for look in (health._database, health._queue, health._held):
            monkeypatch.setattr(look, "_until", 0.0)
        after = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["restored"].startswith("held since ")
    assert "restored" not in after.json()
    assert 'carillon_held{kind="delivery"} 2.0' in figures
    assert 'carillon_held{kind="batch"} 0.0' in figures


def test_the_figures_are_nought_where_nothing_is_held(
    database: Database, configure: Callable[..., settings.Settings]
) -> None:
    configure(METRICS_TOKEN=TOKEN)
    gauges.clear()
    with TestClient(application()) as client:
        assert 'carillon_held{kind="delivery"} 0.0' in client.get("/metrics", headers=SCRAPER).text
