"""The team's page: inviting, roles, leaving; the settings; the audit log; the administration."""

import csv
import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from backend.accounts import audit, audit_log, service_tokens, users
from backend.accounts.audit import Actor
from backend.db.database import Database
from backend.db.models.accounts import Membership, Service, User
from backend.db.models.audit import AuditEntry
from backend.delivery.providers import routes
from backend.lib import settings
from backend.monitoring import providers
from tests.conftest import MovableClock
from tests.portal.conftest import Browser
from tests.portal.letters import key, letters
from tests.portal.people_and_messages import PASSWORD, service, user


@pytest.fixture
def lab(database: Database, moving_clock: MovableClock) -> int:
    return service(database)


@pytest.fixture
def ada(browser: Browser, database: Database, lab: int) -> int:
    """Sign Ada in, an administrator of the laboratory."""
    made = user(database, member_of=lab, role="admin")
    browser.sign_in()
    return made


@pytest.fixture
def root(browser: Browser, database: Database, lab: int) -> int:
    """Sign a platform administrator in."""
    made = user(database, "root@lab.example", platform_admin=True)
    browser.sign_in(email="root@lab.example")
    return made


def entries(database: Database) -> list[tuple[str, str, dict[str, Any]]]:
    """List what the audit log says, oldest first."""
    with database.read() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(row.action, row.subject, row.detail) for row in rows]


def get_service(database: Database, service_id: int) -> Service:
    with database.read() as session:
        return session.get_one(Service, service_id)


def test_inviting_sending_again_and_withdrawing(browser: Browser, database: Database, lab: int, ada: int) -> None:
    address = f"/portal/services/{lab}/team"
    assert browser.send(f"{address}/invitations", email="Bob@lab.example", role="editor").status_code == 303
    to, fields = letters(database)[-1]
    assert (to, fields["subject"]) == ("bob@lab.example", "You are invited to Lab LIMS on Carillon")
    assert "ada@lab.example invites you as editor" in fields["opening"]
    page = browser.get(address).text
    assert "The invitation to Bob@lab.example is on its way." in page
    assert "bob@lab.example</td>" in page
    first = key(database)
    browser.send(f"{address}/invitations/1/resend")
    assert key(database) != first
    assert browser.get(f"/portal/invitation?key={first}").status_code == 410
    browser.send(f"{address}/invitations/1/withdraw")
    assert browser.get(f"/portal/invitation?key={key(database)}").status_code == 410
    actions = [action for action, _, _ in entries(database)]
    assert actions == ["member.invited", "member.invited", "invitation.withdrawn"]
    assert first not in str(entries(database))


@pytest.mark.parametrize(
    "case",
    [
        ("no address", "viewer", "An EMAIL address is one plain address"),
        ("ada@lab.example", "viewer", "is a member already"),
        ("bob@lab.example", "owner", "A role is one of"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field_and_kept(
    browser: Browser, lab: int, ada: int, case: tuple[str, str, str]
) -> None:
    email, role, said = case
    answer = browser.send(f"/portal/services/{lab}/team/invitations", email=email, role=role)
    assert answer.status_code == 422
    assert said in answer.text
    assert f'value="{email}"' in answer.text


def test_roles_change_and_people_leave(browser: Browser, database: Database, lab: int, ada: int) -> None:
    bob = user(database, "bob@lab.example", member_of=lab)
    address = f"/portal/services/{lab}/team"
    browser.send(f"{address}/members/{bob}/role", role="editor")
    assert "bob@lab.example is an editor now." in browser.get(address).text
    browser.send(f"{address}/members/{bob}/role", role="editor")
    browser.send(f"{address}/members/{bob}/remove")
    with database.read() as session:
        assert session.scalars(select(Membership.user_id)).all() == [ada]
    assert entries(database) == [
        ("member.role_changed", "bob@lab.example", {"before": "viewer", "after": "editor"}),
        ("member.removed", "bob@lab.example", {}),
    ]


@pytest.mark.parametrize("change", [("role", {"role": "viewer"}), ("remove", {})])
def test_a_service_keeps_an_administrator(
    browser: Browser, database: Database, lab: int, ada: int, change: tuple[str, dict[str, str]]
) -> None:
    rest, form = change
    answer = browser.send(f"/portal/services/{lab}/team/members/{ada}/{rest}", **form)
    assert answer.status_code == 422
    assert "keeps at least one administrator" in answer.text
    assert entries(database) == []


@pytest.mark.parametrize("name", ["", "x" * 161, "Proteomics", "a\tb"])
def test_a_name_that_cannot_be_taken(browser: Browser, database: Database, lab: int, ada: int, name: str) -> None:
    service(database, "Proteomics")
    answer = browser.send(f"/portal/services/{lab}/settings", name=name)
    assert answer.status_code == 422
    assert get_service(database, lab).name == "Lab LIMS"


def test_a_token_is_shown_once_and_replaced(browser: Browser, database: Database, lab: int, ada: int) -> None:
    address = f"/portal/services/{lab}/settings"
    made = browser.led(browser.send(f"{address}/tokens"))
    with database.read() as session:
        row = service_tokens.of_service(session, lab)
        assert row is not None
        first = service_tokens.reveal(row)
    assert first in made
    assert first not in browser.get(address).text
    replaced = browser.led(browser.send(f"{address}/tokens/{row.id}/replace"))
    with database.read() as session:
        assert service_tokens.find(session, first) is None
        (present,) = service_tokens.all_of_service(session, lab)
        assert service_tokens.reveal(present) in replaced
    assert first not in str(entries(database))
    assert browser.send(f"{address}/tokens/999/replace").status_code == 404


def write_down(database: Database, service_id: int | None, *changes: tuple[str, str, str]) -> None:
    with database.transaction() as session:
        for actor, action, subject in changes:
            audit.record(session, Actor("person", actor), action, subject, service_id=service_id)


def test_the_audit_log_is_filtered(
    browser: Browser, database: Database, lab: int, ada: int, moving_clock: MovableClock
) -> None:
    write_down(database, lab, ("ada@lab.example", "recipient.changed", "X_LAB"))
    moving_clock.forward(days=1)
    write_down(database, lab, ("bob@lab.example", "template.published", "X_SAMPLE"))
    write_down(database, service(database, "Proteomics"), ("eve@lab.example", "recipient.changed", "Y_OTHER"))
    browser.sign_in()
    seen = {
        "": {"X_LAB", "X_SAMPLE"},
        "?actor=BOB": {"X_SAMPLE"},
        "?actor=%25": set(),
        "?action=recipient.changed": {"X_LAB"},
        "?first=2026-03-03": {"X_SAMPLE"},
        "?last=2026-03-02": {"X_LAB"},
        "?first=nonsense&before=x": {"X_LAB", "X_SAMPLE"},
    }
    for query, wanted in seen.items():
        page = browser.get(f"/portal/services/{lab}/audit{query}").text
        found = {name for name in ("X_LAB", "X_SAMPLE", "Y_OTHER") if f'audit-subject">{name}' in page}
        assert found == wanted, query
    assert "Nothing was changed that fits" in browser.get(f"/portal/services/{lab}/audit?actor=nobody").text


def test_the_audit_log_has_pages(database: Database, lab: int) -> None:
    write_down(database, lab, *(("ada@lab.example", "recipient.changed", f"X_{number}") for number in range(120)))
    wanted = audit_log.Filter(service_id=lab)
    with database.read() as session:
        first = audit_log.page(session, wanted)
        second = audit_log.page(session, wanted, before=first.older)
        third = audit_log.page(session, wanted, before=second.older)
        back = audit_log.page(session, wanted, after=third.newer)
    assert [len(found.rows) for found in (first, second, third)] == [50, 50, 20]
    assert (first.newer, third.older) == (None, None)
    assert [row.subject for row in back.rows] == [row.subject for row in second.rows]
    assert (back.newer, back.older) == (second.rows[0].id, second.rows[-1].id)


def test_the_audit_log_is_exported_without_formulas(browser: Browser, database: Database, lab: int, ada: int) -> None:
    write_down(database, lab, ("ada@lab.example", "recipient.changed", '=HYPERLINK("https://evil.example")'))
    answer = browser.get(f"/portal/services/{lab}/audit.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    header, row = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert header == ["at", "who", "kind", "action", "subject", "detail"]
    assert row[1:5] == ["ada@lab.example", "person", "recipient.changed", '\'=HYPERLINK("https://evil.example")']
    workbook = browser.get(f"/portal/services/{lab}/audit.xlsx?actor=ada").content
    with zipfile.ZipFile(io.BytesIO(workbook)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert "=HYPERLINK" in sheet
    assert "<f>" not in sheet
    log = browser.get(f"/portal/services/{lab}/audit?actor=ada").text
    assert all(f"/portal/services/{lab}/audit.{ending}?actor=ada" in log for ending in ("csv", "xlsx"))


def test_services_are_made_limited_and_switched(browser: Browser, database: Database, lab: int, root: int) -> None:
    answer = browser.send("/portal/admin/services", name="Proteomics", organisation="Institute")
    made = int(answer.headers["location"].split("/")[3])
    assert not get_service(database, made).live
    page = browser.get("/portal/admin/services").text
    assert "Proteomics" in page
    assert "Institute" in page
    assert browser.send("/portal/admin/services", name="Proteomics").status_code == 422
    one = f"/portal/admin/services/{made}"
    browser.send(f"{one}/limit", daily_limit="1,000")
    assert browser.send(f"{one}/limit", daily_limit="-3").status_code == 422
    browser.send(f"{one}/switch", switch="live", on="true")
    browser.send(f"{one}/switch", switch="active", on="false")
    assert browser.send(f"{one}/switch", switch="built_in", on="true").status_code == 404
    kept = get_service(database, made)
    assert (kept.daily_limit, kept.live, kept.active) == (1000, True, False)
    wanted = ["service.made", "service.limited", "service.made_live", "service.switched_off"]
    assert [action for action, _, _ in entries(database)] == wanted
    assert browser.get("/portal/admin/services/999").status_code == 404


def test_organisations_are_made_renamed_and_given_services(
    browser: Browser, database: Database, lab: int, root: int
) -> None:
    listed = "/portal/admin/organisations"
    assert "There is no organisation yet" in browser.get(listed).text
    one = browser.send(listed, name=" Institute ").headers["location"]
    browser.send(listed, name="Genomics")
    for name in ("Genomics", "", "x" * 161):
        answer = browser.send(one, name=name)
        assert answer.status_code == 422
        assert f'value="{name}"' in answer.text
    assert browser.send(listed, name="Genomics").status_code == 422
    assert browser.send(one, name="The institute").status_code == 303
    service = f"/portal/admin/services/{lab}"
    number = one.rpartition("/")[2]
    assert browser.send(f"{service}/organisation", organisation=number).status_code == 303
    assert f'<option value="{number}" selected>The institute</option>' in browser.get(service).text
    assert "Lab LIMS" in browser.get(one).text.partition("<main")[2]
    assert browser.send(f"{service}/organisation", organisation="").status_code == 303
    assert "No service belongs to it" in browser.get(one).text
    for unknown in ("999", "x"):
        assert browser.send(f"{service}/organisation", organisation=unknown).status_code == 404
    assert browser.get(f"{listed}/999").status_code == browser.send(f"{listed}/999", name="X").status_code == 404
    wanted = ["organisation.made", "organisation.made", "organisation.renamed", "service.grouped", "service.grouped"]
    assert [action for action, _, _ in entries(database)] == wanted


def test_a_provider_is_switched_off_and_on(
    browser: Browser,
    database: Database,
    root: int,
    configure: Callable[..., settings.Settings],
    request: pytest.FixtureRequest,
) -> None:
    request.addfinalizer(routes.routes.cache_clear)
    routes.routes.cache_clear()
    configure(EMAIL_PROVIDERS="smtp://user:hidden-password@mail.lab.example:587?tls=starttls")
    page = browser.get("/portal/admin/providers").text
    assert "hidden-password" not in page
    assert "Working" in page
    with database.read() as session:
        (one,) = [one for one in providers.providers(session) if one.channel == "EMAIL"]
    browser.send("/portal/admin/providers", provider=one.name, on="false")
    assert "Switched off" in browser.get("/portal/admin/providers").text
    browser.send("/portal/admin/providers", provider=one.name, on="true")
    assert browser.send("/portal/admin/providers", provider="nobody", on="true").status_code == 404
    assert entries(database) == [("provider.switched_off", one.name, {}), ("provider.switched_on", one.name, {})]


def test_people_are_unlocked_switched_and_made_administrators(
    browser: Browser, database: Database, lab: int, root: int
) -> None:
    bob = user(database, "bob@lab.example", member_of=lab)
    for _ in range(users.MAX_FAILURES + 1):
        users.sign_in(database, "bob@lab.example", "wrong")
    one = f"/portal/admin/users/{bob}"
    assert "Locked" in browser.get(one).text
    browser.send(one, act="unlock")
    assert users.sign_in(database, "bob@lab.example", PASSWORD) is not None
    for act in ("switch-off", "switch-on", "make-admin", "make-ordinary"):
        assert browser.send(one, act=act).status_code == 303
    assert browser.send(one, act="delete").status_code == 404
    assert browser.send("/portal/admin/users/999", act="unlock").status_code == 404
    with database.read() as session:
        kept = session.get_one(User, bob)
    assert (kept.active, kept.platform_admin) == (True, False)
    assert [action for action, _, _ in entries(database)] == [
        "user.locked",
        "user.unlocked",
        "user.switched_off",
        "user.switched_on",
        "user.made_platform_admin",
        "user.made_ordinary",
    ]


@pytest.mark.parametrize("act", ["switch-off", "make-ordinary"])
def test_an_installation_keeps_an_administrator(browser: Browser, root: int, act: str) -> None:
    answer = browser.send(f"/portal/admin/users/{root}", act=act)
    assert answer.status_code == 409
    assert "keeps at least one active platform administrator" in answer.text
    assert browser.get("/portal/admin/users").status_code == 200


def test_a_user_is_invited_without_a_service(browser: Browser, database: Database, root: int) -> None:
    assert browser.send("/portal/admin/users", email="ada@lab.example").status_code == 303
    first = key(database)
    assert browser.send("/portal/admin/users", email="ada@lab.example").status_code == 303
    assert browser.get(f"/portal/invitation?key={first}").status_code == 410
    second = key(database)
    browser.send("/portal/sign-out")
    assert browser.send("/portal/invitation", key=second, password=PASSWORD).headers["location"] == "/portal"
    assert "You are not a member of a service yet" in browser.get("/portal").text
