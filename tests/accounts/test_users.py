"""Users: their passwords, roles and lock."""

import threading
import time
from collections.abc import Callable

import pytest

from backend.accounts import passwords, services, users
from backend.db.database import Database
from backend.db.models.accounts import Membership, User
from backend.lib.problems import Problem
from tests.conftest import MovableClock

PASSWORD = "correct horse battery"
Check = Callable[[str, str], User | None]


@pytest.fixture(params=["verify", "sign_in"])
def check(request: pytest.FixtureRequest, any_database: Database) -> Check:
    def verify(email: str, password: str) -> User | None:
        with any_database.transaction() as session:
            return users.verify(session, email, password)

    return verify if request.param == "verify" else lambda email, word: users.sign_in(any_database, email, word)


def create(database: Database, email: str = "Ada@Lab.example", password: str = PASSWORD) -> User:
    with database.transaction() as session:
        return users.create_user(session, email, password)


def failures(database: Database) -> int:
    with database.read() as session:
        return session.query(User).one().failed_logins


def test_a_user_is_known_by_address_in_any_case_and_password(any_database: Database, check: Check) -> None:
    user = create(any_database)
    assert user.email == "ada@lab.example"
    found = check("ADA@lab.EXAMPLE", PASSWORD)
    assert found is not None
    assert found.id == user.id
    assert check("ada@lab.example", PASSWORD + " ") is None
    assert check("ada@lab.example\x00", PASSWORD) is None
    assert check("nobody@lab.example", PASSWORD) is None


@pytest.mark.usefixtures("as_in_operation")
def test_a_password_is_kept_as_a_hash_that_costs_a_thief_much(database: Database) -> None:
    kept = create(database).password_hash
    assert kept is not None
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.matches(kept, PASSWORD)
    assert not passwords.matches(kept, PASSWORD + " ")


def test_more_than_five_failures_lock_and_success_resets(any_database: Database, check: Check) -> None:
    create(any_database)
    for _ in range(5):
        assert check("ada@lab.example", "wrong password") is None
    assert failures(any_database) == 5
    assert check("ada@lab.example", PASSWORD) is not None
    assert failures(any_database) == 0
    for _ in range(6):
        check("ada@lab.example", "wrong password")
    assert check("ada@lab.example", PASSWORD) is None
    assert failures(any_database) == 7
    with any_database.transaction() as session:
        user = session.query(User).one()
        assert users.is_locked(user)
        users.set_password(user, "another long one")
    assert check("ada@lab.example", "another long one") is not None


def test_an_inactive_user_cannot_sign_in(any_database: Database, check: Check) -> None:
    with any_database.transaction() as session:
        users.create_user(session, "ada@lab.example", PASSWORD, active=False)
    assert check("ada@lab.example", PASSWORD) is None
    assert failures(any_database) == 1


def test_an_unknown_user_costs_the_same_work(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    real = passwords.matches
    monkeypatch.setattr(passwords, "matches", lambda stored, given: asked.append(stored) or real(stored, given))
    assert users.sign_in(database, "nobody@lab.example", PASSWORD) is None
    assert asked == [None]
    verified: list[str] = []
    monkeypatch.setattr(passwords, "_hasher", _Noting(verified))
    assert not passwords.matches(None, PASSWORD)
    assert len(verified) == 1


class _Noting:
    """Stands in for the hasher and notes what is verified."""

    def __init__(self, verified: list[str]) -> None:
        self._verified = verified

    def hash(self, _password: str) -> str:
        return "hash"

    def verify(self, stored: str, _password: str) -> bool:
        self._verified.append(stored)
        return True


def test_few_hashes_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, lock = [0], [0], threading.Lock()

    class Slow:
        def hash(self, _password: str) -> str:
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            time.sleep(0.005)
            with lock:
                running[0] -= 1
            return "hash"

    monkeypatch.setattr(passwords, "_hasher", Slow())
    threads = [threading.Thread(target=passwords.make_hash, args=("x",)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2


@pytest.mark.parametrize("password", ["too short", "x" * 1025, "half a pair \ud800"])
def test_a_password_that_cannot_serve_is_refused(database: Database, password: str) -> None:
    with pytest.raises(Problem) as refused:
        create(database, password=password)
    assert refused.value.code == "invalid_value"
    assert not passwords.matches(None, password)


def test_an_address_belongs_to_one_user(database: Database) -> None:
    create(database)
    with pytest.raises(Problem) as refused:
        create(database, "ada@LAB.example")
    assert refused.value.code == "name_taken"
    with pytest.raises(Problem) as malformed:
        create(database, "nobody")
    assert malformed.value.code == "invalid_address"


def test_a_user_has_one_role_in_a_service(any_database: Database, moving_clock: MovableClock) -> None:
    with any_database.transaction() as session:
        service = services.create_service(session, "Laboratory", organisation="Institute")
        user = users.create_user(
            session, "ada@lab.example", PASSWORD, service=service, role="viewer", mobile="+44 7700 900123"
        )
        assert user.mobile == "+447700900123"
        assert user.password_changed_at == moving_clock()
        users.give_role(session, user, service, "admin")
        assert [row.role for row in session.query(Membership)] == ["admin"]


def test_services_have_names_of_their_own_and_share_organisations(any_database: Database) -> None:
    with any_database.transaction() as session:
        first = services.create_service(session, " One ", organisation="Institute", live=True, daily_limit=5)
        second = services.create_service(session, "Two", organisation="Institute")
        assert (first.name, first.live, first.daily_limit, first.active) == ("One", True, 5, True)
        assert (second.live, second.daily_limit) == (False, None)
        assert first.organisation_id == second.organisation_id
        assert services.service_by_name(session, "One") is first
        assert services.service_by_id(session, second.id) is second
        for name in ("One", "", "x" * 161, "a\nb", "a\x00b"):
            with pytest.raises(Problem):
                services.create_service(session, name)
        with pytest.raises(Problem):
            services.named_service(session, "Three")
