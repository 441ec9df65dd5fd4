"""Invitations, resets, identities, attempts, teams and the audit log on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from backend.accounts import (
    administration,
    attempts,
    audit,
    audit_log,
    identities,
    invitations,
    members,
    oidc_attempts,
    password_resets,
    services,
    sessions,
    users,
)
from backend.accounts.attempts import Bucket
from backend.accounts.oidc_attempts import Attempt
from backend.db.database import Database
from backend.lib.problems import Problem
from tests.conftest import MovableClock

PASSWORD = "a long enough password"


def lab_with(database: Database, *roles: str) -> tuple[int, list[int]]:
    """Store a service with a member for each role."""
    with database.transaction() as session:
        lab = services.create_service(session, "Lab LIMS")
        people = [
            users.create_user(
                session, f"{number}@lab.example", PASSWORD, service=lab, role=members.checked_role(role)
            ).id
            for number, role in enumerate(roles)
        ]
        return lab.id, people


def test_an_invitation_and_a_session(any_database: Database, moving_clock: MovableClock) -> None:
    lab, _ = lab_with(any_database, "admin")
    with any_database.transaction() as session:
        made = invitations.invite(session, services.service_by_id(session, lab), "Bob@lab.example", "editor", "ada")
        assert made.secret not in repr(made)
    with any_database.transaction() as session:
        invited = invitations.find(session, made.secret)
        bob = users.join(session, invited.email, None)
        invitations.accept(session, invited, bob)
        with pytest.raises(Problem, match="was accepted"):
            invitations.accept(session, invited, bob)
        value = sessions.begin(session, bob.id)
    viewer = sessions.resume(any_database, value)
    assert viewer is not None
    assert [(one.service_id, one.service_name, one.role) for one in viewer.memberships] == [(lab, "Lab LIMS", "editor")]
    sessions.remember_service(any_database, viewer, lab)
    again = sessions.resume(any_database, value)
    assert again is not None
    assert again.last == lab


def test_a_reset_is_used_once(any_database: Database, moving_clock: MovableClock) -> None:
    _, (ada,) = lab_with(any_database, "admin")
    with any_database.transaction() as session:
        secret = password_resets.begin(session, administration.person(session, ada))
    with any_database.transaction() as session:
        password_resets.use(session, secret, "another long password")
    with any_database.transaction() as session, pytest.raises(Problem, match="used before"):
        password_resets.use(session, secret, "a third long password")
    assert users.sign_in(any_database, "0@lab.example", "another long password") is not None


def test_an_attempt_at_a_provider_is_taken_once(any_database: Database, moving_clock: MovableClock) -> None:
    attempt = Attempt("nonce", "verifier", "/portal")
    with any_database.transaction() as session:
        oidc_attempts.begin(session, "state", "browser", attempt)
    for state, browser, found in (
        ("state", "other", None),
        ("other", "browser", None),
        ("state", "browser", attempt),
        ("state", "browser", None),
    ):
        with any_database.transaction() as session:
            assert oidc_attempts.take(session, state, browser) == found


def test_an_identity_has_one_owner(any_database: Database) -> None:
    _, (ada, bob) = lab_with(any_database, "admin", "viewer")
    with any_database.transaction() as session:
        first, second = (administration.person(session, one) for one in (ada, bob))
        assert identities.connect(session, first, "https://id.example", "one")
        assert identities.connect(session, first, "https://id.example", "one")
        assert not identities.connect(session, second, "https://id.example", "one")
        assert identities.connect(session, second, "https://other.example", "one")
        owner = identities.user_of(session, "https://id.example", "one")
    assert owner is not None
    assert owner.id == ada


def test_attempts_at_the_same_moment_are_all_counted(any_database: Database, moving_clock: MovableClock) -> None:
    bucket = Bucket("tests", 5, 60)

    def attempt(_: int) -> bool:
        try:
            attempts.take(any_database, (bucket, "ada"))
        except Problem:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(20))) == 5
    attempts.take(any_database, (bucket, "bob"))
    moving_clock.forward(minutes=1)
    assert attempt(0)


def test_a_team_keeps_an_administrator(any_database: Database) -> None:
    lab, (ada, bob) = lab_with(any_database, "admin", "admin")
    with any_database.transaction() as session:
        assert members.change_role(session, lab, ada, "viewer") == ("0@lab.example", "admin")
    for act in (lambda s: members.remove(s, lab, bob), lambda s: members.change_role(s, lab, bob, "editor")):
        with any_database.transaction() as session, pytest.raises(Problem, match="at least one administrator"):
            act(session)
    with any_database.read() as session:
        assert [(one.email, one.role) for one in members.of_service(session, lab)] == [
            ("0@lab.example", "viewer"),
            ("1@lab.example", "admin"),
        ]


def test_the_audit_log(any_database: Database, moving_clock: MovableClock) -> None:
    lab, _ = lab_with(any_database)
    with any_database.transaction() as session:
        for number in range(3):
            audit.record(session, audit.Actor("person", "Ada"), "thing.done", str(number), service_id=lab)
    with any_database.read() as session:
        wanted = audit_log.Filter(service_id=lab, actor="ADA", action="thing.done")
        assert [row.subject for row in audit_log.page(session, wanted).rows] == ["2", "1", "0"]
        assert [row.subject for row in audit_log.everything(session, wanted)] == ["2", "1", "0"]
        assert audit_log.actions(session, lab) == ["thing.done"]


def test_the_built_in_service_is_one(any_database: Database) -> None:
    with any_database.transaction() as session:
        services.create_service(session, "Carillon")
        own = services.own_service(session)
        assert services.own_service(session).id == own.id
    assert (own.name, own.live) == ("Carillon’s own messages", True)
