"""Roles by groups of the OpenID provider: people come and go with the directory."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from backend.accounts import group_roles, users
from backend.db.database import Database
from backend.db.models.accounts import Membership, Service, User
from backend.db.models.audit import AuditEntry
from backend.lib import settings
from tests.portal.conftest import BASE_URL, Browser
from tests.portal.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider
from tests.portal.openid_sign_in import arrive, depart
from tests.portal.people_and_messages import service, user

pytestmark = pytest.mark.usefixtures("moving_clock")
BOB = {"sub": "bob-2", "email": "bob@lab.example", "email_verified": True}


@pytest.fixture
def lab(database: Database, provider: OpenIdProvider, configure: Callable[..., settings.Settings]) -> int:
    """Give a service in which two groups have roles."""
    configure(
        OIDC_ISSUER=provider.issuer,
        OIDC_CLIENT_ID=CLIENT_ID,
        OIDC_CLIENT_SECRET=CLIENT_SECRET,
        OIDC_GROUPS_CLAIM="groups",
        BASE_URL=BASE_URL,
    )
    made = service(database)
    with database.transaction() as session:
        owner = session.get_one(Service, made)
        group_roles.add(session, "lims-readers", owner, "viewer")
        group_roles.add(session, "lims-owners", owner, "admin")
    return made


def roles(database: Database, email: str = "bob@lab.example") -> dict[int, tuple[str, bool]]:
    """Return the roles of somebody by service, with whether a group gave them."""
    with database.read() as session:
        rows = session.execute(
            select(Membership.service_id, Membership.role, Membership.by_group)
            .join(User, User.id == Membership.user_id)
            .where(User.email == email)
        )
        return {service_id: (role, by_group) for service_id, role, by_group in rows}


def sign_in(browser: Browser, provider: OpenIdProvider, groups: object, **claims: Any) -> int:
    provider.claims = BOB | {"groups": groups} | claims
    return arrive(browser, provider, depart(browser)).status_code


def test_somebody_of_a_group_gets_an_account_and_its_role(
    browser: Browser, provider: OpenIdProvider, lab: int, database: Database
) -> None:
    assert sign_in(browser, provider, ["lims-readers", "staff"]) == 303
    assert roles(database) == {lab: ("viewer", True)}
    assert browser.get(f"/portal/services/{lab}").status_code == 200
    with database.read() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "member.by_group")).one()
        assert (entry.subject, entry.detail) == ("bob@lab.example", {"before": None, "after": "viewer"})


def test_of_several_groups_the_role_that_may_most_counts(
    browser: Browser, provider: OpenIdProvider, lab: int, database: Database
) -> None:
    sign_in(browser, provider, ["lims-readers", "lims-owners"])
    assert roles(database) == {lab: ("admin", True)}
    sign_in(browser, provider, "lims-readers")
    assert roles(database) == {lab: ("viewer", True)}


@pytest.mark.parametrize("groups", [["staff"], [], None])
def test_who_leaves_the_group_loses_the_role(
    groups: object, browser: Browser, provider: OpenIdProvider, lab: int, database: Database
) -> None:
    sign_in(browser, provider, ["lims-readers"])
    assert sign_in(browser, provider, groups) == 303
    assert roles(database) == {}
    assert browser.get(f"/portal/services/{lab}").status_code == 404


def test_groups_that_were_left_out_for_their_number_change_nothing(
    browser: Browser, provider: OpenIdProvider, lab: int, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    sign_in(browser, provider, ["lims-readers"])
    sign_in(browser, provider, None, _claim_names={"groups": "src1"})
    assert roles(database) == {lab: ("viewer", True)}
    assert "very many" in caplog.text


def test_a_role_that_a_person_gave_stays(
    browser: Browser, provider: OpenIdProvider, lab: int, database: Database
) -> None:
    sign_in(browser, provider, ["lims-readers"])
    other = service(database, "Another")
    with database.transaction() as session:
        bob = users.by_email(session, "bob@lab.example")
        assert bob is not None
        users.give_role(session, bob, session.get_one(Service, other), "editor")
        users.give_role(session, bob, session.get_one(Service, lab), "editor")
    sign_in(browser, provider, ["lims-owners"])
    assert roles(database) == {lab: ("editor", False), other: ("editor", False)}
    sign_in(browser, provider, [])
    assert roles(database) == {lab: ("editor", False), other: ("editor", False)}


def test_no_account_is_taken_over_by_its_address(
    browser: Browser, provider: OpenIdProvider, lab: int, database: Database
) -> None:
    user(database, "bob@lab.example")
    assert sign_in(browser, provider, ["lims-owners"]) == 403
    assert roles(database) == {}


@pytest.mark.parametrize("claims", [{"email_verified": False}, {"email": None}])
def test_no_account_is_made_for_an_address_that_is_doubted(
    claims: dict[str, Any], browser: Browser, provider: OpenIdProvider, lab: int
) -> None:
    assert sign_in(browser, provider, ["lims-owners"], **claims) == 403


def test_no_account_is_made_without_a_role(browser: Browser, provider: OpenIdProvider, lab: int) -> None:
    assert sign_in(browser, provider, ["staff"]) == 403


def test_without_the_setting_groups_mean_nothing(
    browser: Browser, provider: OpenIdProvider, lab: int, configure: Callable[..., settings.Settings]
) -> None:
    configure(OIDC_GROUPS_CLAIM="")
    assert sign_in(browser, provider, ["lims-owners"]) == 403


def test_a_platform_administrator_keeps_the_map(browser: Browser, lab: int, database: Database) -> None:
    user(database, "root@lab.example", platform_admin=True)
    browser.sign_in("root@lab.example")
    page = browser.get("/portal/admin/groups").text
    assert "lims-owners" in page
    done = browser.send("/portal/admin/groups", group=" lims-writers ", service="Lab LIMS", role="editor")
    assert done.status_code == 303
    page = browser.get("/portal/admin/groups").text
    assert "The members of lims-writers have the role editor in Lab LIMS" in page
    with database.read() as session:
        row = next(one for one in group_roles.listed(session) if one.group == "lims-writers")
    assert browser.send(f"/portal/admin/groups/{row.id}/remove").status_code == 303
    with database.read() as session:
        assert "lims-writers" not in [one.group for one in group_roles.listed(session)]
        entries = session.scalars(
            select(AuditEntry.action).where(AuditEntry.subject == "lims-writers").order_by(AuditEntry.id)
        ).all()
    assert list(entries) == ["group_role.set", "group_role.removed"]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"group": "", "service": "Lab LIMS"}, "The name of a group has 1 to 255 printable characters."),
        ({"group": "g", "service": "Nobody's"}, "There is no service named Nobody"),
        ({"group": "g", "service": "Lab LIMS", "role": "king"}, "A role is one of"),
    ],
)
def test_what_cannot_be_mapped_is_told_beside_its_field(
    form: dict[str, str], said: str, browser: Browser, lab: int, database: Database
) -> None:
    user(database, "root@lab.example", platform_admin=True)
    browser.sign_in("root@lab.example")
    answer = browser.send("/portal/admin/groups", **form)
    assert answer.status_code == 422
    assert said in answer.text


def test_nobody_else_sees_the_map(browser: Browser, lab: int, database: Database) -> None:
    user(database, member_of=lab, role="admin")
    browser.sign_in()
    assert browser.get("/portal/admin/groups").status_code == 403
    answer = browser.send("/portal/admin/groups", group="g", service="Lab LIMS", role="admin")
    assert answer.status_code == 403
