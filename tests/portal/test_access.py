"""Places and roles: what each role may do in a service, what others see of it, and where the portal leads."""

import pytest
from sqlalchemy import Insert, insert

from backend.accounts.users import Role
from backend.db.database import Database
from backend.db.models.accounts import Membership
from backend.portal import pages
from backend.portal.forms import Faults
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import service, user

# Every address that changes something of a service, with what is needed for it.
CHANGES: dict[str, str] = {
    "team/invitations": "admin",
    "team/invitations/1/resend": "admin",
    "team/invitations/1/withdraw": "admin",
    "team/members/1/role": "admin",
    "team/members/1/remove": "admin",
    "settings": "admin",
    "settings/tokens": "admin",
    "settings/tokens/1/replace": "admin",
}
PAGES = ("", "/team", "/settings", "/audit", "/audit.csv", "/audit.xlsx")
ADMINISTRATION = (
    "services",
    "services/1",
    "organisations",
    "organisations/1",
    "users",
    "users/1",
    "providers",
    "doctor",
    "audit",
    "audit.csv",
    "audit.xlsx",
)


@pytest.fixture
def lab(database: Database) -> int:
    return service(database)


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_only_administrators_change_the_team_and_the_settings(
    browser: Browser, database: Database, lab: int, role: Role
) -> None:
    user(database, member_of=lab, role=role)
    browser.sign_in()
    for rest in CHANGES:
        answer = browser.send(f"/portal/services/{lab}/{rest}", email="eve@lab.example", role="admin", name="Mine")
        assert answer.status_code == 403, rest
        assert "This is not for your role" in answer.text
        assert "administrators of this service" in answer.text
    for rest in PAGES:
        assert browser.get(f"/portal/services/{lab}{rest}").status_code == 200, rest
    page = browser.get(f"/portal/services/{lab}/team").text
    assert "Invite somebody" not in page
    assert "Change role" not in page


def test_another_teams_service_is_not_there(browser: Browser, database: Database, lab: int) -> None:
    other = service(database, "Proteomics")
    user(database, member_of=lab, role="admin")
    browser.sign_in()
    for rest in PAGES:
        foreign, missing = (browser.get(f"/portal/services/{one}{rest}") for one in (other, 999))
        assert (foreign.status_code, missing.status_code) == (404, 404)
        assert foreign.text == missing.text
    for rest in CHANGES:
        assert browser.send(f"/portal/services/{other}/{rest}").status_code == 404, rest


def test_the_administration_is_for_platform_administrators(browser: Browser, database: Database, lab: int) -> None:
    user(database, member_of=lab, role="admin")
    browser.sign_in()
    for rest in ADMINISTRATION:
        answer = browser.get(f"/portal/admin/{rest}")
        assert answer.status_code == 403, rest
    assert "platform administrators" in answer.text
    for rest in (
        "services",
        "services/1/switch",
        "services/1/limit",
        "services/1/organisation",
        "organisations",
        "users",
        "users/1",
    ):
        assert browser.send(f"/portal/admin/{rest}", act="make-admin", name="Mine").status_code == 403, rest
    assert "/portal/admin" not in browser.get("/portal/account").text


def test_a_platform_administrator_may_do_everything_everywhere(browser: Browser, database: Database, lab: int) -> None:
    user(database, platform_admin=True)
    browser.sign_in()
    page = browser.get(f"/portal/services/{lab}/team").text
    assert "Invite somebody" in page
    assert "All services…" in page


def test_the_portal_leads_to_the_service_seen_last(browser: Browser, database: Database, lab: int) -> None:
    other = service(database, "Proteomics")
    ada = user(database, member_of=lab)
    with database.transaction() as session:
        session.execute(joined(ada, other))
    browser.sign_in()
    assert browser.get("/portal").headers["location"] == f"/portal/services/{lab}"
    browser.get(f"/portal/services/{other}/team")
    assert browser.get("/portal").headers["location"] == f"/portal/services/{other}"
    page = browser.get(f"/portal/services/{other}/team").text
    assert f'<a href="/portal/services/{lab}">Lab LIMS</a>' in page
    found = browser.get("/portal/services?q=prot").text
    assert "Proteomics</a>" in found.partition("<main")[2]
    assert "Lab LIMS" not in found.partition("<main")[2]


def joined(user_id: int, service_id: int) -> Insert:
    """Write a membership beside the first one."""
    return insert(Membership).values(user_id=user_id, service_id=service_id, role="viewer")


def test_who_belongs_to_no_service_is_told_what_to_do(browser: Browser, database: Database) -> None:
    user(database)
    browser.sign_in()
    assert "You are not a member of a service yet" in browser.get("/portal").text


def test_a_toast_is_said_once_and_only_if_we_wrote_it(browser: Browser, database: Database, lab: int) -> None:
    user(database, member_of=lab)
    browser.sign_in()
    (cookie,) = pages.go("/portal", "It is done.").cookies
    browser.client.cookies.set(cookie.key, str(cookie.value), domain="testserver.local")
    assert "It is done." in browser.get(f"/portal/services/{lab}").text
    assert "It is done." not in browser.get(f"/portal/services/{lab}").text
    for forged in (str(cookie.value)[:-1], "x.y", "."):
        browser.client.cookies.set(cookie.key, forged, domain="testserver.local")
        assert browser.get(f"/portal/services/{lab}").status_code == 200


def test_htmx_is_led_by_its_own_header(browser: Browser, database: Database, lab: int) -> None:
    user(database, member_of=lab, role="admin")
    browser.sign_in()
    headers = {"HX-Request": "true", "X-CSRFToken": browser.token()}
    address = f"/portal/services/{lab}/settings"
    answer = browser.client.post(address, data={"name": "Lab LIMS"}, headers=headers, follow_redirects=False)
    assert (answer.status_code, answer.headers["hx-redirect"]) == (200, address)
    assert "location" not in answer.headers


def test_the_first_bad_field_gets_the_focus() -> None:
    faults = Faults()
    faults.add("name", "Too long.")
    faults.add("email", "Missing.")
    faults.add("name", "Another.")
    assert dict(faults) == {"name": "Too long.", "email": "Missing."}
    assert [fault.first for fault in faults.values()] == [True, False]
    assert (faults.status, Faults().status) == (422, 200)
