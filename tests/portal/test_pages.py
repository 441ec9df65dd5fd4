"""What holds for every page: security headers, faults as pages, static files from our own host."""

import re

import pytest

from backend.db.database import Database
from backend.portal import keys, outbox
from tests.factories import laboratory
from tests.portal.conftest import Browser
from tests.portal.people_and_messages import message, service, user


def test_every_page_carries_the_security_headers(browser: Browser) -> None:
    for address in ("/portal/sign-in", "/portal", "/portal/nothing", "/docs", "/docs/errors"):
        headers = browser.get(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy, address
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("number", [-(2**63) - 1, -1, 2**63, 10**30])
def test_a_list_that_is_to_go_on_behind_no_row_is_empty(browser: Browser, database: Database, number: int) -> None:
    lab = laboratory(database)
    lab.template("X_SAMPLE")
    user(database, member_of=lab.service_id, role="admin")
    browser.sign_in()
    home = f"/portal/services/{lab.service_id}"
    for path in ("suppressions?after", "worklist?after", "jobs?before", "templates/X_SAMPLE/versions?before"):
        answer = browser.get(f"{home}/{path}={number}")
        assert answer.status_code == 200, path


def test_a_message_is_served_into_a_sandbox(browser: Browser, database: Database) -> None:
    lab = service(database)
    uid = message(database, lab)
    answer = browser.get(f"/portal/outbox/{uid}/html?key={keys.outbox_key(lab)}")
    assert answer.headers["content-security-policy"] == (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_no_page_has_a_script_or_style_of_its_own_or_reaches_another_host(browser: Browser, database: Database) -> None:
    lab = service(database)
    uid, key = message(database, lab, text="plain"), keys.outbox_key(lab)
    for address in ("/portal/sign-in", "/portal/nothing", "/docs", "/docs/errors"):
        keeps_to_itself(browser, address)
    for rest in ("", f"/{uid}", f"/{uid}?view=text"):
        keeps_to_itself(browser, f"/portal/outbox{rest}{'&' if '?' in rest else '?'}key={key}")


def keeps_to_itself(browser: Browser, address: str) -> None:
    page = browser.get(address).text
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", page)
    assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", page)
    for asset in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        assert browser.get(asset).status_code == 200, asset


def test_a_missing_page_is_a_page_and_a_missing_api_address_a_problem(browser: Browser) -> None:
    page = browser.get("/portal/nothing")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Page not found" in page.text
    assert "Page not found" in browser.get("/nothing").text
    for address, accept in (
        ("/nothing", "*/*"),
        ("/oauth/nothing", "text/html"),
        ("/registry/v1/x", "text/html"),
    ):
        api = browser.client.get(address, headers={"Accept": accept})
        assert (api.status_code, api.headers["content-type"]) == (404, "application/problem+json"), address


def test_a_method_that_a_page_does_not_take_is_a_page_too(browser: Browser) -> None:
    answer = browser.client.put("/portal/sign-in")
    assert answer.status_code == 405
    assert "does not work that way" in answer.text


def test_a_fault_of_ours_is_told_without_its_inside(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the inside of the fault")

    monkeypatch.setattr(outbox.messages, "page", fail)
    answer = browser.get(f"/portal/outbox?key={keys.outbox_key(1)}")
    assert answer.status_code == 500
    assert "Carillon failed to show this page" in answer.text
    assert "the inside" not in answer.text
    assert "the inside of the fault" in caplog.text
    assert keys.outbox_key(1) not in caplog.text


@pytest.mark.parametrize(
    "address",
    [
        "/static/package.json",
        "/static/node_modules/htmx.org/package.json",
        "/static/vendor/ace/index.html",
        "/static/styles/../package.json",
        "/static/styles/%2e%2e/package.json",
        "/static/styles/..%2f..%2fbackend%2fapp.py",
    ],
)
def test_only_named_files_are_static(browser: Browser, address: str) -> None:
    assert browser.get(address).status_code == 404


def test_static_files_may_be_kept_for_good(browser: Browser) -> None:
    page = browser.get("/portal/sign-in").text
    address = next(iter(re.findall(r'href="(/static/styles/[^"]+)"', page)))
    assert "?v=" in address
    answer = browser.get(address)
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
