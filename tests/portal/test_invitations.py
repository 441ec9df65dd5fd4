"""Invitations: how a link is followed, by whom, and when it is over."""

import pytest
from sqlalchemy import select

from backend.accounts import invitations, services, users
from backend.accounts.users import Role
from backend.db.database import Database
from backend.db.models.accounts import Invitation, Membership
from backend.lib.problems import Problem
from tests.conftest import MovableClock
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import PASSWORD, service, user

pytestmark = pytest.mark.usefixtures("moving_clock")


@pytest.fixture
def lab(database: Database) -> int:
    return service(database)


def invite(database: Database, lab: int, email: str = "bob@lab.example", role: Role = "editor") -> str:
    with database.transaction() as session:
        owner = services.service_by_id(session, lab)
        return invitations.invite(session, owner, email, role, "ada@lab.example").secret


def role_of(database: Database, email: str, lab: int) -> str | None:
    with database.read() as session:
        found = users.by_email(session, email)
        wanted = (Membership.user_id == (found.id if found else None), Membership.service_id == lab)
        return session.scalar(select(Membership.role).where(*wanted))


def test_a_newcomer_chooses_a_password_and_is_in(browser: Browser, database: Database, lab: int) -> None:
    key = invite(database, lab)
    page = browser.get(f"/portal/invitation?key={key}").text
    assert "ada@lab.example invites" in page
    assert "as editor" in page
    short = browser.send("/portal/invitation", key=key, password="short")
    assert short.status_code == 422
    assert "at least 10 characters" in short.text
    done = browser.send("/portal/invitation", key=key, password=PASSWORD)
    assert (done.status_code, done.headers["location"]) == (303, f"/portal/services/{lab}")
    assert "You have joined Lab LIMS." in browser.get(f"/portal/services/{lab}").text
    assert role_of(database, "bob@lab.example", lab) == "editor"


def test_who_has_an_account_signs_in_and_comes_back(browser: Browser, database: Database, lab: int) -> None:
    user(database, "bob@lab.example")
    key = invite(database, lab)
    page = browser.get(f"/portal/invitation?key={key}").text
    assert "You have an account already" in page
    assert "Choose a password" not in page
    stolen = browser.send("/portal/invitation", key=key, password="a password of a stranger")
    assert stolen.status_code == 200
    assert role_of(database, "bob@lab.example", lab) is None
    led = browser.sign_in(email="bob@lab.example", next=f"/portal/invitation?key={key}").headers["location"]
    assert led == f"/portal/invitation?key={key}"
    assert "Join Lab LIMS</button>" in browser.get(led).text
    assert browser.send("/portal/invitation", key=key).status_code == 303
    assert role_of(database, "bob@lab.example", lab) == "editor"


def test_it_is_for_one_person_only(browser: Browser, database: Database, lab: int) -> None:
    user(database)
    browser.sign_in()
    key = invite(database, lab)
    assert "for whom this invitation is not" in browser.get(f"/portal/invitation?key={key}").text
    assert browser.send("/portal/invitation", key=key, password=PASSWORD).status_code == 200
    assert role_of(database, "ada@lab.example", lab) is None


def test_it_works_once(browser: Browser, database: Database, lab: int) -> None:
    key = invite(database, lab)
    browser.send("/portal/invitation", key=key, password=PASSWORD)
    assert browser.get(f"/portal/invitation?key={key}").status_code == 410
    assert browser.send("/portal/invitation", key=key, password=PASSWORD).status_code == 410


def test_it_is_over_after_a_week(browser: Browser, database: Database, lab: int, moving_clock: MovableClock) -> None:
    key = invite(database, lab)
    moving_clock.forward(days=6, hours=23)
    assert browser.get(f"/portal/invitation?key={key}").status_code == 200
    moving_clock.forward(hours=1)
    assert browser.get(f"/portal/invitation?key={key}").status_code == 410


def test_a_new_link_ends_the_old_one_and_withdrawing_ends_both(browser: Browser, database: Database, lab: int) -> None:
    old = invite(database, lab)
    with database.transaction() as session:
        new = invitations.renew(session, lab, invitations.waiting(session, lab)[0].id)
    assert browser.get(f"/portal/invitation?key={old}").status_code == 410
    assert browser.get(f"/portal/invitation?key={new.secret}").status_code == 200
    with database.transaction() as session:
        invitations.withdraw(session, lab, new.id)
    assert browser.get(f"/portal/invitation?key={new.secret}").status_code == 410


def test_nobody_is_invited_twice_or_into_a_team_they_are_in(database: Database, lab: int) -> None:
    user(database, member_of=lab)
    invite(database, lab)
    for email, reason in (("BOB@lab.example", "invited already"), ("ada@lab.example", "a member already")):
        with pytest.raises(Problem, match=reason):
            invite(database, lab, email)


def test_the_secret_is_kept_as_a_digest(database: Database, lab: int) -> None:
    secret = invite(database, lab)
    with database.read() as session:
        row = session.scalars(select(Invitation)).one()
    assert secret not in (row.digest, row.email)


def test_another_services_invitation_is_not_found(database: Database, lab: int) -> None:
    invite(database, lab)
    other = service(database, "Proteomics")
    with database.transaction() as session:
        identity = invitations.waiting(session, lab)[0].id
        for act in (invitations.renew, invitations.withdraw):
            with pytest.raises(Problem, match="no such open invitation"):
                act(session, other, identity)
