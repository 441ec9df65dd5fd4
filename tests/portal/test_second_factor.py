"""Two-factor sign-in: set up, asked for, got past by nothing, used up, lost and dropped."""

import re
from collections.abc import Callable

import pyotp
import pytest
from click.testing import CliRunner
from httpx import Response
from litestar.testing import TestClient
from sqlalchemy import select

from backend.accounts import password_resets, second_factor
from backend.commands import accounts
from backend.db.database import Database
from backend.db.models.accounts import SecondFactor, User
from backend.db.models.audit import AuditEntry
from backend.lib import clock, settings
from tests.application import application
from tests.conftest import MovableClock
from tests.portal.conftest import Browser
from tests.portal.letters import letters
from tests.portal.people_and_messages import PASSWORD, user

SETUP = "/portal/account/second-factor"


@pytest.fixture(autouse=True)
def ada(database: Database, moving_clock: MovableClock) -> int:
    return user(database)


def _hidden(page: Response, name: str = "setup") -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def _key(page: Response) -> str:
    found = re.search(r'data-copy="([A-Z2-7 ]{32,})"', page.text)
    assert found, page.text
    return found[1].replace(" ", "")


def _recovery_codes(page: Response) -> list[str]:
    return re.findall(r"\b[a-z2-9]{5}-[a-z2-9]{5}\b", page.text.partition("<pre")[2].partition("</pre>")[0])


def _now(key: str) -> str:
    return pyotp.TOTP(key).at(int(clock.timestamp()))


def _turn_on(browser: Browser) -> tuple[str, list[str]]:
    page = browser.get(SETUP)
    key = _key(page)
    answer = browser.send(f"{SETUP}/on", setup=_hidden(page), present=PASSWORD, code=_now(key))
    assert (answer.status_code, answer.headers["location"]) == (303, "/portal/account"), answer.text
    return key, _recovery_codes(page)


def _leave(browser: Browser) -> None:
    browser.send("/portal/sign-out")


def test_a_code_is_asked_for_after_the_password(browser: Browser, moving_clock: MovableClock) -> None:
    browser.sign_in()
    key, _ = _turn_on(browser)
    _leave(browser)
    moving_clock.forward(minutes=1)
    answer = browser.sign_in(next="/portal/account")
    assert answer.headers["location"] == "/portal/sign-in/code"
    assert browser.cookie() is None
    assert browser.get("/portal/account").status_code == 303
    assert "Enter your code" in browser.get("/portal/sign-in/code").text
    arrived = browser.send("/portal/sign-in/code", code=_now(key))
    assert (arrived.status_code, arrived.headers["location"]) == (303, "/portal/account")
    assert "It is on" in browser.get("/portal/account").text


def test_a_code_is_taken_once(browser: Browser, moving_clock: MovableClock) -> None:
    browser.sign_in()
    key, _ = _turn_on(browser)
    _leave(browser)
    moving_clock.forward(minutes=1)
    code = _now(key)
    browser.sign_in()
    assert browser.send("/portal/sign-in/code", code=code).status_code == 303
    _leave(browser)
    browser.sign_in()
    again = browser.send("/portal/sign-in/code", code=code)
    assert again.status_code == 422
    assert "A code works once" in again.text


@pytest.mark.parametrize(("apart", "taken"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_clocks_may_be_half_a_minute_apart(
    browser: Browser, moving_clock: MovableClock, apart: int, *, taken: bool
) -> None:
    browser.sign_in()
    key, _ = _turn_on(browser)
    _leave(browser)
    moving_clock.forward(minutes=5)
    browser.sign_in()
    code = pyotp.TOTP(key).at(int(clock.timestamp()) + apart)
    assert (browser.send("/portal/sign-in/code", code=code).status_code == 303) is taken


def test_each_recovery_code_works_once_in_any_spelling(browser: Browser) -> None:
    browser.sign_in()
    _, codes = _turn_on(browser)
    assert len(set(codes)) == second_factor.RECOVERY_CODES
    for code, status in ((codes[0], 303), (codes[0].upper(), 422), (f" {codes[1].upper().replace('-', ' ')} ", 303)):
        _leave(browser)
        browser.sign_in()
        assert browser.send("/portal/sign-in/code", code=code).status_code == status
    assert "8 unused recovery codes" in browser.get("/portal/account").text


def test_wrong_codes_are_slowed_down_and_told(browser: Browser, database: Database) -> None:
    browser.sign_in()
    _turn_on(browser)
    _leave(browser)
    browser.sign_in()
    statuses = [browser.send("/portal/sign-in/code", code=str(100_000 + at)).status_code for at in range(7)]
    assert statuses == [422] * 5 + [429] * 2
    subjects = [fields["subject"] for _, fields in letters(database)]
    assert subjects.count("Wrong codes for your Carillon account") == 1


def test_a_sign_in_waits_for_its_code_for_ten_minutes(browser: Browser, moving_clock: MovableClock) -> None:
    browser.sign_in()
    key, _ = _turn_on(browser)
    _leave(browser)
    browser.sign_in()
    moving_clock.forward(minutes=11)
    answer = browser.send("/portal/sign-in/code", code=_now(key))
    assert answer.headers["location"] == "/portal/sign-in"
    assert browser.cookie() is None


def test_a_new_password_by_mail_does_not_get_past_it(browser: Browser, database: Database, ada: int) -> None:
    browser.sign_in()
    _turn_on(browser)
    _leave(browser)
    with database.transaction() as session:
        secret = password_resets.begin(session, session.get_one(User, ada))
    answer = browser.send("/portal/password/new", key=secret, password="another long password")
    assert answer.headers["location"] == "/portal/sign-in/code"
    assert browser.cookie() is None


def test_a_form_that_came_too_late_waits_for_the_code_too(browser: Browser, moving_clock: MovableClock) -> None:
    browser.sign_in()
    key, _ = _turn_on(browser)
    token = browser.token()
    moving_clock.forward(minutes=1)
    browser.client.cookies.delete("carillon")
    late = browser.send("/portal/admin/organisations", token=token, name="A late institute")
    assert late.status_code == 401
    asked = browser.sign_in(kept=_hidden(late, "kept"), next=_hidden(late, "next"))
    assert "Enter your code" in asked.text
    wrong = browser.send("/portal/sign-in/code", kept=_hidden(asked, "kept"), code="000000")
    arrived = browser.send("/portal/sign-in/code", kept=_hidden(wrong, "kept"), code=_now(key))
    assert arrived.status_code == 200
    assert "A late institute" in arrived.text
    assert browser.get("/portal/account").status_code == 200


def test_a_code_alone_is_worth_nothing(browser: Browser) -> None:
    browser.sign_in()
    key, _ = _turn_on(browser)
    _leave(browser)
    for value in (None, "x", "00000000.AAAA", "00000000.!!"):
        if value is not None:
            browser.client.cookies.set("carillon-pending", value)
        answer = browser.send("/portal/sign-in/code", code=_now(key))
        assert answer.headers["location"] == "/portal/sign-in"


@pytest.mark.parametrize(
    ("present", "code", "field"), [("wrong", None, "present"), (PASSWORD, "123", "code"), (PASSWORD, "", "code")]
)
def test_nothing_is_turned_on_without_password_and_code(
    browser: Browser, database: Database, present: str, code: str | None, field: str
) -> None:
    browser.sign_in()
    page = browser.get(SETUP)
    given = _now(_key(page)) if code is None else code
    answer = browser.send(f"{SETUP}/on", setup=_hidden(page), present=present, code=given)
    assert answer.status_code == 422
    assert f'id="{field}-fault"' in answer.text
    # The same key again: it is in the authenticator already.
    assert _key(answer) == _key(page)
    with database.read() as session:
        assert session.scalars(select(SecondFactor)).all() == []


def test_a_form_sent_twice_turns_it_on_once(browser: Browser, database: Database) -> None:
    browser.sign_in()
    page = browser.get(SETUP)
    form = {"setup": _hidden(page), "present": PASSWORD, "code": _now(_key(page))}
    assert [browser.send(f"{SETUP}/on", **form).status_code for _ in range(2)] == [303, 303]
    with database.read() as session:
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert actions.count("second_factor.on") == 1


def test_what_somebody_else_was_shown_turns_nothing_on(browser: Browser, database: Database) -> None:
    user(database, "bob@lab.example")
    browser.sign_in(email="bob@lab.example")
    page = browser.get(SETUP)
    _leave(browser)
    browser.sign_in()
    answer = browser.send(f"{SETUP}/on", setup=_hidden(page), present=PASSWORD, code=_now(_key(page)))
    assert answer.status_code == 422
    assert _key(answer) != _key(page)


def test_new_recovery_codes_end_the_old_ones(browser: Browser, moving_clock: MovableClock) -> None:
    browser.sign_in()
    key, old = _turn_on(browser)
    moving_clock.forward(minutes=1)
    page = browser.get(f"{SETUP}/codes")
    new = _recovery_codes(page)
    assert browser.send(f"{SETUP}/codes", setup=_hidden(page), code="1").status_code == 422
    assert browser.send(f"{SETUP}/codes", setup=_hidden(page), code=_now(key)).status_code == 303
    for code, status in ((old[0], 422), (new[0], 303)):
        _leave(browser)
        browser.sign_in()
        assert browser.send("/portal/sign-in/code", code=code).status_code == status


def test_it_is_turned_off_with_a_code(browser: Browser, moving_clock: MovableClock, database: Database) -> None:
    browser.sign_in()
    key, _ = _turn_on(browser)
    moving_clock.forward(minutes=1)
    assert browser.send(f"{SETUP}/off", code="000000").status_code == 422
    assert browser.send(f"{SETUP}/off", code=_now(key)).status_code == 303
    _leave(browser)
    assert browser.sign_in().headers["location"] == "/portal"
    subjects = {fields["subject"] for _, fields in letters(database)}
    assert {f"Two-factor sign-in is {state} for your Carillon account" for state in ("on", "off")} <= subjects


def test_whoever_lost_everything_is_let_in_by_an_administrator(browser: Browser, database: Database, ada: int) -> None:
    browser.sign_in()
    _turn_on(browser)
    _leave(browser)
    user(database, "root@lab.example", platform_admin=True)
    browser.sign_in(email="root@lab.example")
    assert "a password and a code" in browser.get(f"/portal/admin/users/{ada}").text
    assert browser.send(f"/portal/admin/users/{ada}", act="drop-factor").status_code == 303
    _leave(browser)
    assert browser.sign_in().headers["location"] == "/portal"


def test_the_command_lets_the_last_administrator_in(database: Database, browser: Browser) -> None:
    browser.sign_in()
    _turn_on(browser)
    _leave(browser)
    told = CliRunner().invoke(accounts.users, ["drop-second-factor", "ada@lab.example"])
    assert '"was_on": true' in told.output
    assert browser.sign_in().headers["location"] == "/portal"


def test_platform_administrators_need_it_in_production(
    configure: Callable[..., settings.Settings], database: Database
) -> None:
    configure(ENV="production", BASE_URL="https://carillon.example")
    user(database, "root@lab.example", platform_admin=True)
    origin = "https://carillon.example"
    with TestClient(application(), base_url=origin) as client:
        browser = Browser(client)
        browser.send("/portal/sign-in", origin, email="root@lab.example", password=PASSWORD)
        for address in ("/portal", "/portal/admin", "/portal/account", f"{SETUP}/codes"):
            assert browser.get(address).headers["location"] == SETUP
        assert browser.get("/portal/admin", **{"hx-request": "true"}).headers["hx-redirect"] == SETUP
        page = browser.get(SETUP)
        token = re.search(r'name="_csrf_token" value="(\w+)"', page.text)
        assert token
        form = {"setup": _hidden(page), "present": PASSWORD, "code": _now(_key(page))}
        assert browser.send(f"{SETUP}/on", origin, token[1], **form).status_code == 303
        assert browser.get("/portal/admin").status_code in {200, 303}
        assert browser.get("/portal/account").status_code == 200


def test_the_secret_is_sealed_and_survives_another_key(
    configure: Callable[..., settings.Settings], browser: Browser, database: Database, ada: int
) -> None:
    browser.sign_in()
    key, codes = _turn_on(browser)
    with database.transaction() as session:
        stored = session.scalars(select(SecondFactor.sealed)).one()
        assert key not in stored
        assert codes[0].replace("-", "") not in stored
    old = settings.current().secret_key
    configure(SECRET_KEY="k" * 40, OLD_SECRET_KEYS=old)
    with database.transaction() as session:
        assert second_factor.reseal(session) == 1
    configure(SECRET_KEY="k" * 40)
    with database.transaction() as session:
        assert second_factor.accepts(session, ada, codes[0])


def test_browsers_are_listed_and_signed_out(database: Database) -> None:
    app = application()
    with TestClient(app, base_url="http://testserver.local") as one, TestClient(app) as two:
        here, there = Browser(one), Browser(two)
        two.headers["user-agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        there.client.base_url = one.base_url
        here.sign_in()
        there.sign_in()
        page = here.get("/portal/account")
        assert "Firefox on Linux" in page.text
        other = re.search(r"/portal/account/sessions/(\d+)/end", page.text)
        assert other
        assert here.send(f"/portal/account/sessions/{other[1]}/end").status_code == 303
        assert there.get("/portal/account").status_code == 303
        there.sign_in()
        assert here.send("/portal/account/sessions/end-others").status_code == 303
        assert there.get("/portal/account").status_code == 303
        assert here.get("/portal/account").status_code == 200


def test_nobody_ends_the_sessions_of_others(browser: Browser, database: Database) -> None:
    browser.sign_in()
    with database.read() as session:
        own = session.execute(select(User.id)).scalars().all()
    user(database, "bob@lab.example")
    app = application()
    with TestClient(app, base_url="http://testserver.local") as client:
        bob = Browser(client)
        bob.sign_in(email="bob@lab.example")
        for number in range(1, 5):
            bob.send(f"/portal/account/sessions/{number}/end")
    assert browser.get("/portal/account").status_code == 200
    assert own
