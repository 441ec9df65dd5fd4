"""No id of another service opens anything, at no address and in no role; who may only look changes nothing."""

import re
from collections.abc import Callable

import pytest
from httpx import Response

from backend.accounts.users import Role
from backend.portal import access
from tests.portal.conftest import BASE_URL, Browser
from tests.security.addresses import UNSAFE, Address, addresses, of_the_alpha
from tests.security.conftest import Estate
from tests.security.estate import ROLES

OF_A_SERVICE = "/portal/services/{service_id:int}"
# Filled in as far as its fields are known, so that a form gets as far as it can.
FORM = {
    "name": "Mine",
    "email": "eve@evil.example",
    "role": "admin",
    "identifier": "E_MINE",
    "act": "save",
    "revision": "1",
    "version": "1",
    "source": "<p>mine</p>",
    "format": "html",
}


def ask(browser: Browser, address: Address, path: str, token: str) -> Response:
    """Get a page, or send its form."""
    if address.path.endswith("/upload"):
        data = {"_csrf_token": token, **FORM}
        files = {"file": ("mine.html", b"<p>mine</p>", "text/html")}
        headers = {"Accept": "text/html", "Origin": BASE_URL}
        return browser.client.post(path, data=data, files=files, headers=headers, follow_redirects=False)
    return browser.get(path) if address.method == "GET" else browser.send(path, token=token, **FORM)


def walk(estate: Estate, tries: Callable[[], dict[str, int]], *, expected: set[int]) -> None:
    """Make requests that must be refused, and find every table as it was."""
    before = estate.books.state()
    answers = tries()
    assert answers  # an empty walk would prove nothing
    assert {where: status for where, status in answers.items() if status not in expected} == {}
    assert estate.books.changed_since(before) == set()


@pytest.mark.parametrize("role", ROLES)
def test_no_member_of_another_service_gets_in_or_reaches_a_thing_of_it(estate: Estate, role: Role) -> None:
    browser = estate.browser(estate.theirs, role)
    token = browser.token()

    def tries() -> dict[str, int]:
        answers = {}
        for one in addresses(OF_A_SERVICE):
            foreign = one.filled(estate.books, estate.ours)
            answers[f"{one} of theirs"] = ask(browser, one, foreign, token).status_code
            if one.parameters - {"service_id", "decision", "which"}:
                own_door = one.filled(estate.books, estate.ours, service_id=estate.theirs.service_id)
                answer = ask(browser, one, own_door, token)
                # The team's page says so of a person whom nobody knows as well: they may have left a moment ago.
                unknown = answer.status_code == 422 and "This person is not a member of the service." in answer.text
                answers[f"{one} by their own door"] = 404 if unknown else answer.status_code
        return answers

    walk(estate, tries, expected={403, 404})


@pytest.mark.parametrize("role", ROLES)
def test_the_installation_and_other_outboxes_are_closed_to_members(estate: Estate, role: Role) -> None:
    browser = estate.browser(estate.theirs, role)
    token = browser.token()

    def tries() -> dict[str, int]:
        closed = [*addresses("/portal/admin"), *(one for one in addresses("/portal/outbox/") if "{" in one.path)]
        return {str(one): ask(browser, one, one.filled(estate.books, estate.ours), token).status_code for one in closed}

    walk(estate, tries, expected={403, 404})


def test_a_viewer_changes_nothing_anywhere(estate: Estate) -> None:
    browser = estate.browser(estate.ours, "viewer")
    token = browser.token()

    def tries() -> dict[str, int]:
        unsafe = [one for one in addresses(OF_A_SERVICE) if one.method in UNSAFE]
        return {str(one): ask(browser, one, one.filled(estate.books, estate.ours), token).status_code for one in unsafe}

    walk(estate, tries, expected={403})


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_what_is_for_administrators_is_refused_to_others(estate: Estate, role: Role) -> None:
    browser = estate.browser(estate.ours, role)
    token = browser.token()

    def tries() -> dict[str, int]:
        theirs = [one for one in addresses(OF_A_SERVICE) if one.is_guarded_by(access.administrators)]
        return {str(one): ask(browser, one, one.filled(estate.books, estate.ours), token).status_code for one in theirs}

    walk(estate, tries, expected={403})


@pytest.mark.parametrize("role", ROLES)
def test_pages_open_with_their_own_ids_and_tell_nothing_of_the_other_service(estate: Estate, role: Role) -> None:
    browser = estate.browser(estate.ours, role)
    before = estate.books.state()
    answers = {}
    for one in addresses(OF_A_SERVICE):
        if one.method == "GET":
            answer = browser.get(one.filled(estate.books, estate.ours))
            may = role == "admin" or not one.is_guarded_by(access.administrators)
            may = may and (role != "viewer" or not one.is_guarded_by(access.editors))
            answers[str(one)] = answer.status_code if may else 200 if answer.status_code == 403 else 500
            assert not re.search(estate.theirs.word, answer.text, re.IGNORECASE), one
    # 404 would say that the ids of these walks are none.
    assert {where: status for where, status in answers.items() if status not in {200, 303}} == {}
    assert estate.books.changed_since(before) == set()


def test_no_form_is_taken_without_its_token_or_from_another_site(estate: Estate) -> None:
    browser = estate.browser(estate.ours, "admin")
    token = browser.token()

    def tries() -> dict[str, int]:
        answers = {}
        for one in addresses("/portal"):
            if one.method in UNSAFE:
                path = one.filled(estate.books, estate.ours)
                answers[f"{one} without"] = browser.send(path, token="", **FORM).status_code
                answers[f"{one} forged"] = browser.send(path, token="f" * len(token), **FORM).status_code
                elsewhere = browser.send(path, "https://evil.example", token=token, **FORM)
                answers[f"{one} from elsewhere"] = elsewhere.status_code
        return answers

    walk(estate, tries, expected={403})


def test_no_api_client_reaches_what_is_another_services(estate: Estate) -> None:
    headers = estate.bearer(estate.theirs)
    claims = {"PUT /registry/v1/recipients/{recipient_id:str}", "PUT /registry/v1/templates/{template_id:str}"}
    recipient = {"name": "Mine", "endpoints": [{"type": "EMAIL", "address": "eve@evil.example"}]}
    template = {"name": "Mine", "format": "html", "source": "<p>mine</p>"}

    def tries() -> dict[str, int]:
        answers = {}
        for one in addresses("/notifications/v1", "/registry/v1"):
            if not one.parameters:
                continue
            body = template if "template" in one.path else recipient
            body = {"fields": {}} if one.path.endswith("/preview") else body
            path = one.filled(estate.books, estate.ours)
            json = body if one.method in {"PUT", "POST"} else None
            status = estate.http.request(one.method, path, json=json, headers=headers).status_code
            # Identifiers are one name space: what another service has is taken.
            answers[str(one)] = 404 if str(one) in claims and status == 409 else status
        return answers

    walk(estate, tries, expected={404})


def test_what_an_api_client_reads_tells_nothing_of_the_other_service(estate: Estate) -> None:
    headers = estate.bearer(estate.ours)
    for one in addresses("/notifications/v1", "/registry/v1"):
        if one.method == "GET":
            answer = estate.http.get(one.filled(estate.books, estate.ours), headers=headers)
            assert answer.status_code == 200, one
            assert not re.search(estate.theirs.word, answer.text, re.IGNORECASE), one


def test_a_client_token_of_the_alpha_reaches_nothing_of_another_service(estate: Estate) -> None:
    headers = {"Authorization": f"Bearer {estate.theirs.tokens['client']}"}
    # Of these the first two send, the others list what is the token's own.
    own = {"/sms/notification", "/email/notification", "/notifications", "/job/{job_id:int}/notifications"}

    def tries() -> dict[str, int]:
        return {
            str(one): estate.http.request(
                one.method, one.filled(estate.books, estate.ours), json={}, headers=headers
            ).status_code
            for one in of_the_alpha()
            if one.path not in own
        }

    walk(estate, tries, expected={403, 404})
    for path in ("/notifications", f"/job/{estate.books.one_of('jobs', 'id', estate.ours)}/notifications"):
        answer = estate.http.get(path, headers=headers)
        assert answer.status_code == 200
        assert not re.search(estate.ours.word, answer.text, re.IGNORECASE)
