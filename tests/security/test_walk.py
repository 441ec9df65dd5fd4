"""No id of another service opens anything, at no address and in no role; who may only look changes nothing."""

import re
from collections.abc import Callable

import pytest
from httpx import Response

from backend.accounts.users import Role
from backend.portal import access
from tests.portal.conftest import BASE_URL, Browser
from tests.security.addresses import UNSAFE, Address, addresses, of_the_alpha
from tests.security.conftest import Deployment
from tests.security.two_services import ROLES

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
_STEP = {"after": "0s", "channels": [{"type": "EMAIL", "recipient": ["B_ALL"]}]}


def ask(browser: Browser, address: Address, path: str, token: str) -> Response:
    """Get a page, or send its form."""
    if address.path.endswith("/upload"):
        data = {"_csrf_token": token, **FORM}
        files = {"file": ("mine.html", b"<p>mine</p>", "text/html")}
        headers = {"Accept": "text/html", "Origin": BASE_URL}
        return browser.client.post(path, data=data, files=files, headers=headers, follow_redirects=False)
    return browser.get(path) if address.method == "GET" else browser.send(path, token=token, **FORM)


def walk(deployment: Deployment, tries: Callable[[], dict[str, int]], *, expected: set[int]) -> None:
    """Make requests that must be refused, and find every table as it was."""
    before = deployment.books.state()
    answers = tries()
    assert answers  # an empty walk would prove nothing
    assert {where: status for where, status in answers.items() if status not in expected} == {}
    assert deployment.books.changed_since(before) == set()


@pytest.mark.parametrize("role", ROLES)
def test_no_member_of_another_service_gets_in_or_reaches_a_thing_of_it(deployment: Deployment, role: Role) -> None:
    browser = deployment.browser(deployment.theirs, role)
    token = browser.token()

    def tries() -> dict[str, int]:
        answers = {}
        for one in addresses(OF_A_SERVICE):
            foreign = one.filled(deployment.books, deployment.ours)
            answers[f"{one} of theirs"] = ask(browser, one, foreign, token).status_code
            if one.parameters - {"service_id", "decision", "which", "starter"}:
                own_entry_point = one.filled(deployment.books, deployment.ours, service_id=deployment.theirs.service_id)
                answer = ask(browser, one, own_entry_point, token)
                # The team's page says so of a person whom nobody knows as well: they may have left a moment ago.
                unknown = answer.status_code == 422 and "This person is not a member of the service." in answer.text
                answers[f"{one} by their own door"] = 404 if unknown else answer.status_code
        return answers

    walk(deployment, tries, expected={403, 404})


@pytest.mark.parametrize("role", ROLES)
def test_the_installation_and_other_outboxes_are_closed_to_members(deployment: Deployment, role: Role) -> None:
    browser = deployment.browser(deployment.theirs, role)
    token = browser.token()

    def tries() -> dict[str, int]:
        closed = [*addresses("/portal/admin"), *(one for one in addresses("/portal/outbox/") if "{" in one.path)]
        return {
            str(one): ask(browser, one, one.filled(deployment.books, deployment.ours), token).status_code
            for one in closed
        }

    walk(deployment, tries, expected={403, 404})


def test_a_viewer_changes_nothing_anywhere(deployment: Deployment) -> None:
    browser = deployment.browser(deployment.ours, "viewer")
    token = browser.token()

    def tries() -> dict[str, int]:
        looks = f"{OF_A_SERVICE}/addresses"  # whose form keeps an address out of the page's own
        unsafe = [one for one in addresses(OF_A_SERVICE) if one.method in UNSAFE and one.path != looks]
        return {
            str(one): ask(browser, one, one.filled(deployment.books, deployment.ours), token).status_code
            for one in unsafe
        }

    walk(deployment, tries, expected={403})


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_what_is_for_administrators_is_refused_to_others(deployment: Deployment, role: Role) -> None:
    browser = deployment.browser(deployment.ours, role)
    token = browser.token()

    def tries() -> dict[str, int]:
        theirs = [one for one in addresses(OF_A_SERVICE) if one.is_guarded_by(access.administrators)]
        return {
            str(one): ask(browser, one, one.filled(deployment.books, deployment.ours), token).status_code
            for one in theirs
        }

    walk(deployment, tries, expected={403})


@pytest.mark.parametrize("role", ROLES)
def test_pages_open_with_their_own_ids_and_tell_nothing_of_the_other_service(
    deployment: Deployment, role: Role
) -> None:
    browser = deployment.browser(deployment.ours, role)
    before = deployment.books.state()
    answers = {}
    for one in addresses(OF_A_SERVICE):
        if one.method == "GET":
            answer = browser.get(one.filled(deployment.books, deployment.ours))
            may = role == "admin" or not one.is_guarded_by(access.administrators)
            may = may and (role != "viewer" or not one.is_guarded_by(access.editors))
            answers[str(one)] = answer.status_code if may else 200 if answer.status_code == 403 else 500
            assert not re.search(deployment.theirs.word, answer.text, re.IGNORECASE), one
    # 404 would say that the ids of these walks are none.
    assert {where: status for where, status in answers.items() if status not in {200, 303}} == {}
    assert deployment.books.changed_since(before) == set()


def test_no_form_is_taken_without_its_token_or_from_another_site(deployment: Deployment) -> None:
    browser = deployment.browser(deployment.ours, "admin")
    token = browser.token()

    def tries() -> dict[str, int]:
        answers = {}
        for one in addresses("/portal"):
            if one.method in UNSAFE:
                path = one.filled(deployment.books, deployment.ours)
                answers[f"{one} without"] = browser.send(path, token="", **FORM).status_code
                answers[f"{one} forged"] = browser.send(path, token="f" * len(token), **FORM).status_code
                elsewhere = browser.send(path, "https://evil.example", token=token, **FORM)
                answers[f"{one} from elsewhere"] = elsewhere.status_code
        return answers

    walk(deployment, tries, expected={403})


def test_no_api_client_reaches_what_is_another_services(deployment: Deployment) -> None:
    headers = deployment.bearer(deployment.theirs)
    claims = {
        "PUT /registry/v1/policies/{policy_id:str}",
        "PUT /registry/v1/recipients/{recipient_id:str}",
        "PUT /registry/v1/templates/{template_id:str}",
    }
    recipient = {"name": "Mine", "endpoints": [{"type": "EMAIL", "address": "eve@evil.example"}]}
    template = {"name": "Mine", "format": "html", "source": "<p>mine</p>"}

    def tries() -> dict[str, int]:
        answers = {}
        for one in addresses("/notifications/v1", "/registry/v1"):
            if not one.parameters:
                continue
            body = template if "template" in one.path else recipient
            body = {"fields": {}} if one.path.endswith("/preview") else body
            body = {"name": "Mine", "steps": [_STEP]} if "policies" in one.path else body
            body = {} if one.path.endswith(("/acknowledge", "/resolve", "/sending-rules")) else body
            body = {"reason": "Mine"} if one.path.endswith("/close") else body
            body = {"until": "2099-01-01T00:00:00Z", "reason": "Mine"} if one.path.endswith("/mute") else body
            path = one.filled(deployment.books, deployment.ours)
            json = body if one.method in {"PUT", "POST"} else None
            status = deployment.http.request(one.method, path, json=json, headers=headers).status_code
            # Identifiers are one name space: what another service has is taken.
            answers[str(one)] = 404 if str(one) in claims and status == 409 else status
        return answers

    walk(deployment, tries, expected={404})


def test_what_an_api_client_reads_tells_nothing_of_the_other_service(deployment: Deployment) -> None:
    headers = deployment.bearer(deployment.ours)
    for one in addresses("/notifications/v1", "/registry/v1"):
        if one.method == "GET":
            answer = deployment.http.get(one.filled(deployment.books, deployment.ours), headers=headers)
            assert answer.status_code == 200, one
            assert not re.search(deployment.theirs.word, answer.text, re.IGNORECASE), one


def test_a_client_token_of_the_alpha_reaches_nothing_of_another_service(deployment: Deployment) -> None:
    headers = {"Authorization": f"Bearer {deployment.theirs.tokens['client']}"}
    # Of these the first two send, the others list what is the token's own.
    own = {"/sms/notification", "/email/notification", "/notifications", "/job/{job_id:int}/notifications"}

    def tries() -> dict[str, int]:
        return {
            str(one): deployment.http.request(
                one.method, one.filled(deployment.books, deployment.ours), json={}, headers=headers
            ).status_code
            for one in of_the_alpha()
            if one.path not in own
        }

    walk(deployment, tries, expected={403, 404})
    for path in ("/notifications", f"/job/{deployment.books.one_of('jobs', 'id', deployment.ours)}/notifications"):
        answer = deployment.http.get(path, headers=headers)
        assert answer.status_code == 200
        assert not re.search(deployment.ours.word, answer.text, re.IGNORECASE)
