"""Every entry point in production: headers and cookies of answers, a forged Host, paths and addresses that lead out."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any
from urllib.parse import quote, unquote

import pytest
from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import delete

from backend.accounts import sessions, users
from backend.app import create_app
from backend.db.models.accounts import AttemptWindow
from backend.lib import logs, settings
from backend.portal.security import MESSAGE_POLICY, PREVIEW_POLICY
from tests.factories import notification
from tests.portal.conftest import Browser
from tests.portal.letters import letters
from tests.portal.people_and_messages import PASSWORD
from tests.security.addresses import UNSAFE, Address, addresses, of_the_alpha
from tests.security.conftest import Deployment

PUBLIC = "https://carillon.example"
EVIL = "evil.example"
FORGED = {
    "Host": EVIL,
    "X-Forwarded-Host": EVIL,
    "X-Host": EVIL,
    "Forwarded": f"host={EVIL};proto=http",
    "X-Original-URL": f"https://{EVIL}/",
}
# What a browser may keep, and for how long its own Cache-Control says.
KEPT = ("/static/", "/.well-known/", "/docs/openapi.json")
BEYOND = (
    "/nothing",
    "/portal/nothing",
    "/portal/services/1/nothing",
    "/docs/nothing",
    "/static/nothing",
    "/static/styles/nothing.css",
    "/notifications/v1/nothing/nothing",
    "/service/1/nothing",
    "/receipts/nothing/nothing",
    "/.well-known/nothing",
)
HERE = ("/portal", "/static/styles/portal.css", "/docs", "/healthz", "/registry/v1/recipients", "/service")
LEADING_OUT = (
    "../../pyproject.toml",
    "..%2f..%2fpyproject.toml",
    "%2e%2e%2f%2e%2e%2fpyproject.toml",
    "..%252f..%252fpyproject.toml",
    "..%5c..%5cpyproject.toml",
    "%2fetc%2fpasswd",
    "styles%2f..%2f..%2fpyproject.toml",
    "%00",
    "pyproject.toml%00.css",
    "%ff%fe",
)
ELSEWHERE = (
    f"//{EVIL}",
    f"///{EVIL}",
    f"/\\{EVIL}",
    f"\\\\{EVIL}",
    f"https:{EVIL}",
    f"https://{EVIL}",
    f"https:/{EVIL}/portal",
    f"/portal//{EVIL}",
    f"/portal/\\{EVIL}",
    f"/portal/..//{EVIL}",
    f"/portal/%2f{EVIL}",
    f"/%2f%2f{EVIL}",
    f"%2f%2f{EVIL}",
    f"/portal@{EVIL}",
    f"/portal.{EVIL}",
    f"/portal\t//{EVIL}",
    f"/portal\r\nLocation: https://{EVIL}",
    f" //{EVIL}",
    f"/portal#//{EVIL}",
    f"/portal?next=//{EVIL}",
    "javascript:alert(1)",
)


@dataclass
class InProduction:
    """The deployment as production serves it, with its administrator's browser."""

    deployment: Deployment
    app: Litestar
    browser: Browser

    def send(self, path: str, **form: str) -> Response:
        return self.browser.send(path, PUBLIC, **form)

    def sign_in(self, email: str, password: str = PASSWORD, **form: str) -> Response:
        with self.deployment.books.database.transaction() as session:
            session.execute(delete(AttemptWindow))
        return self.send("/portal/sign-in", email=email, password=password, **form)

    def credentials(self) -> dict[str, str]:
        return self.deployment.bearer(self.deployment.ours)


@pytest.fixture(scope="module")
def in_production(deployment: Deployment) -> Iterator[InProduction]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CARILLON_ENV", "production")
        patched.setenv("CARILLON_BASE_URL", PUBLIC)
        patched.setattr(logs, "configure", lambda **_options: None)
        settings.current.cache_clear()
        app = create_app()
        with TestClient(app, base_url=PUBLIC) as http:
            made = InProduction(
                Deployment(http, deployment.books, deployment.ours, deployment.theirs), app, Browser(http)
            )
            assert made.sign_in(deployment.ours.email("admin")).status_code == 303
            yield made
    settings.current.cache_clear()


def wrong_with(answer: Response, path: str) -> list[str]:
    """Say what the answer lacks or has too much."""
    headers = answer.headers
    policy = headers.get("content-security-policy", "")
    message = policy in {MESSAGE_POLICY, PREVIEW_POLICY}
    wanted = {
        "nosniff": headers.get("x-content-type-options") == "nosniff",
        "referrer": headers.get("referrer-policy") == "same-origin",
        "transport": "max-age=31536000" in headers.get("strict-transport-security", ""),
        "policy": message or (policy.startswith("default-src 'none'; ") and "unsafe" not in policy),
        "frames": message or "frame-ancestors 'none'" in policy,
        "stored": "no-store" in headers.get("cache-control", "") or path.startswith(KEPT),
        "cookies": all(is_guarded(cookie) for cookie in headers.get_list("set-cookie")),
        "type": "content-type" in headers or not answer.content,
        "host": EVIL not in answer.text and EVIL not in str(headers),
    }
    if headers.get("content-type", "").startswith("text/html") and not message:
        wanted["inline"] = not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=|javascript:", answer.text)
    return [name for name, right in wanted.items() if not right]


def is_guarded(cookie: str) -> bool:
    """Tell whether browsers keep a cookie to our own host, https and the server (RFC 6265bis, section 4.1.3.2)."""
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    return (
        cookie.startswith("__Host-")
        and {"secure", "httponly", "samesite=lax", "path=/"} <= attributes
        and not any(one.startswith("domain") for one in attributes)
    )


def test_every_answer_of_every_entry_point_carries_its_headers_whatever_host_is_asked_for(
    in_production: InProduction,
) -> None:
    bearer, alpha = in_production.credentials(), {str(one) for one in of_the_alpha()}
    token = {"Authorization": f"Bearer {in_production.deployment.ours.tokens['admin']}"}
    wrong, statuses = {}, set()

    def ask(method: str, path: str, *, of_the_alpha: bool = False, **given: Any) -> None:
        headers = FORGED | {"Accept": "text/html" if path.startswith(("/portal", "/docs")) else "application/json"}
        headers |= {} if path.startswith("/portal") else token if of_the_alpha else bearer
        answer = in_production.browser.client.request(
            method, path, headers=headers | given.pop("headers", {}), follow_redirects=False, **given
        )
        statuses.add(answer.status_code)
        if found := wrong_with(answer, path):
            wrong[f"{method} {path} {answer.status_code}"] = found

    # All are written down before the first is asked: some take away what others are about.
    paths = [(one, one.filled(in_production.deployment.books, in_production.deployment.ours)) for one in addresses("/")]
    for one, path in paths:
        ask(one.method, path, of_the_alpha=str(one) in alpha)
        if one.method in UNSAFE:
            ask(one.method, path, of_the_alpha=str(one) in alpha, content=b"{", headers={"Content-Type": "text/plain"})
    for method, path in [*product(("GET", "POST", "HEAD"), BEYOND), *product(("PATCH", "OPTIONS", "TRACE"), HERE)]:
        ask(method, path)
    for path in ("/portal/sign-in", "/notifications/v1", "/notifications/v1/bulk", "/sms/notification", "/oauth/token"):
        ask("POST", path, content=b"x" * (2 << 20), headers={"Content-Type": "application/x-www-form-urlencoded"})
        ask("GET", path, headers={"Accept": "image/png"})
    for _ in range(2):
        body = notification(recipient=["A_TWO"], template_id="A_LIST")
        ask("POST", "/notifications/v1", json=body)
    assert wrong == {}
    assert {200, 202, 303, 400, 403, 404, 405, 413, 415} <= statuses
    assert {status for status in statuses if status >= 500} == set()


def test_links_in_mails_lead_to_the_public_address(in_production: InProduction) -> None:
    asked = in_production.browser.client.post(
        "/portal/password",
        data={"_csrf_token": in_production.browser.token(), "email": in_production.deployment.ours.email("viewer")},
        headers=FORGED | {"Origin": PUBLIC, "Accept": "text/html"},
    )
    assert asked.status_code == 200
    link = letters(in_production.deployment.books.database)[-1][1]["link"]
    assert link.startswith(f"{PUBLIC}/portal/password/new?key=")


def served(app: Litestar, raw_path: str, headers: dict[str, str]) -> tuple[int, bytes, str]:
    """Ask for a path as it stands on the wire: clients tidy paths up before they send them."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(n.lower().encode(), v.encode()) for n, v in ({"Host": "carillon.example"} | headers).items()],
        "client": ("203.0.113.9", 1),
        "server": ("carillon.example", 443),
        "state": {},
    }
    parts: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        parts.append(message)

    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type] # as a server calls it
    location = dict(parts[0]["headers"]).get(b"location", b"").decode()
    return parts[0]["status"], b"".join(part.get("body", b"") for part in parts[1:]), location


def test_no_path_leads_to_a_file_of_the_machine(in_production: InProduction) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in in_production.browser.client.cookies.items())
    credentials = {"Cookie": cookies, "Host": "carillon.example", **in_production.credentials()}
    inside, wrong = 0, {}
    assert served(in_production.app, "/static/styles/portal.css", {})[0] == 200
    for one in addresses("/"):
        names = re.findall(r"\{(\w+):(?:str|path)\}", one.path)
        if one.method != "GET" or not names:
            continue
        for bad in LEADING_OUT if "/static" in one.path else LEADING_OUT[:6]:
            path = leading_out(in_production, one, names[-1], bad)
            status, body, _ = served(in_production.app, path, credentials)
            inside += 1
            if status not in {400, 404} or b"root:" in body or b"[tool." in body:
                wrong[path] = status
    assert inside > 50
    assert wrong == {}


def leading_out(in_production: InProduction, one: Address, name: str, bad: str) -> str:
    """Write an address in which one part leads out of its folder."""
    mark = "0mark0"
    path = one.filled(in_production.deployment.books, in_production.deployment.ours, **{name: mark})
    return quote(path.partition("?")[0], safe="/%@:").replace(mark, bad)


@pytest.mark.parametrize("wanted", ELSEWHERE)
def test_signing_in_leads_to_no_other_host(in_production: InProduction, wanted: str) -> None:
    shown = in_production.browser.client.get("/portal/sign-in", params={"next": wanted}, follow_redirects=False)
    answers = [shown, in_production.sign_in(in_production.deployment.ours.email("admin"), next=wanted)]
    assert [(answer.status_code, answer.headers["location"]) for answer in answers] == [(303, "/portal")] * 2
    assert [wrong_with(answer, "/portal") for answer in answers] == [[], []]


def test_who_is_sent_to_sign_in_comes_back_to_our_own_pages(in_production: InProduction) -> None:
    for path in (f"/portal//{EVIL}", f"/portal/..//{EVIL}", f"//{EVIL}/portal", f"/portal/services/1/%2f%2f{EVIL}"):
        status, _, location = served(in_production.app, path, {"Accept": "text/html"})
        assert status in {303, 404}
        assert location == "" if status == 404 else location.startswith("/portal/sign-in?next=%2Fportal%2F")


def test_a_session_is_another_after_sign_in_and_after_a_new_password(in_production: InProduction) -> None:
    database, email, new = in_production.deployment.books.database, "rosalind@lab.example", "a new password for today"
    with database.transaction() as session:
        users.create_user(session, email, PASSWORD)
    in_production.browser.client.cookies.clear()
    name = "__Host-carillon"
    in_production.browser.client.cookies.set(name, "planted", domain="carillon.example")
    values = ["planted"]
    for step in ("sign in", "again", "change"):
        if step == "change":
            answer = in_production.send("/portal/account/password", present=PASSWORD, password=new)
        else:
            answer = in_production.sign_in(email)
        assert (answer.status_code, wrong_with(answer, "/portal")) == (303, [])
        given = [cookie for cookie in answer.headers.get_list("set-cookie") if cookie.startswith(f"{name}=")]
        values.append(given[0].partition("=")[2].partition(";")[0])
    assert len(set(values)) == 4
    assert [sessions.resume(database, value) is not None for value in values] == [False, False, False, True]
