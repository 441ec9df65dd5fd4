"""Tokens, jobs, services, users, organisations and links of the alpha's entry point."""

import re
from uuid import UUID

import pytest

from backend.accounts import services
from backend.db.models.accounts import Organisation, User
from backend.db.models.audit import AuditEntry
from backend.lib import settings
from tests.alpha.conftest import PASSWORD, Alpha
from tests.application import application
from tests.conftest import MovableClock

ADMIN_ONLY = [
    ("GET", "/job/1"),
    ("POST", "/job"),
    ("GET", "/service/1/jobs"),
    ("POST", "/service"),
    ("POST", "/service/1/activate"),
    ("POST", "/service/1/deactivate"),
    ("POST", "/service/1/restrict"),
    ("POST", "/service/1/unrestrict"),
    ("GET", "/service/1/users"),
    ("POST", "/service/1/add-user"),
    ("POST", "/service/1/remove-user"),
    ("GET", "/service/1/usage"),
    ("GET", "/user/1/services"),
    ("GET", "/user/1/service/1"),
    ("GET", "/users/1"),
    ("GET", "/users"),
    ("POST", "/users"),
    ("POST", "/user/1/activate"),
    ("POST", "/users/auth"),
    ("GET", "/organisation/1"),
]
ANY_TOKEN = [
    ("POST", "/sms/notification"),
    ("POST", "/email/notification"),
    ("GET", "/notification/1"),
    ("GET", "/notifications"),
    ("GET", "/job/1/notifications"),
]


@pytest.mark.parametrize(("method", "path"), [*ADMIN_ONLY, *ANY_TOKEN])
def test_every_call_asks_for_a_token(alpha: Alpha, method: str, path: str) -> None:
    for headers in ({}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer "}):
        answer = alpha.http.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized, bearer token must be provided"})
        assert answer.headers["www-authenticate"] == "Bearer"
    unknown = alpha.http.request(method, path, headers={"Authorization": "Bearer nobody"})
    assert (unknown.status_code, unknown.json()) == (403, {"error": "Forbidden, invalid bearer token provided"})
    assert unknown.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("method", "path"), ADMIN_ONLY)
def test_a_client_token_administers_nothing(alpha: Alpha, method: str, path: str) -> None:
    answer = alpha.http.request(method, path, headers={"Authorization": f"Bearer {alpha.client}"})
    assert (answer.status_code, answer.json()) == (403, {"error": "Forbidden, invalid bearer token provided"})


def test_every_call_of_the_entry_point_is_in_these_lists() -> None:
    known = {(method, path) for method, path in [*ADMIN_ONLY, *ANY_TOKEN]}
    words = ("/sms", "/email/", "/notification/{", "/job", "/service", "/user", "/organisation")
    found = {
        (str(method), route.path)
        for route in application().routes
        for method in getattr(route, "route_handler_map", {})
        if method != "OPTIONS" and (route.path.startswith(words) or route.path == "/notifications")
    }
    assert {(method, re.sub(r"\{[^}]*\}", "1", path)) for method, path in found} == known


@pytest.mark.parametrize(
    "path", ["/notification/abc", "/job/1.5", "/service/x/users", "/users/me", "/user/1/service/no", "/nothing/here"]
)
def test_what_is_not_there_is_told_in_json(alpha: Alpha, path: str) -> None:
    answer = alpha.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/notification/999999",
        f"/notification/{10**30}",
        "/notification/0",
        "/job/999999",
        "/service/999999/users",
        "/users/999999",
        f"/users/{2**63}",
        "/user/1/service/999999",
        "/organisation/999999",
        "/users?email_address=nobody@office.gov.uk",
    ],
)
def test_a_number_that_nothing_has_is_404(alpha: Alpha, path: str) -> None:
    answer = alpha.get(path)
    assert answer.status_code == 404
    assert answer.json().keys() == {"error"}


def test_another_method_is_told_in_json(alpha: Alpha) -> None:
    answer = alpha.http.delete("/job/1", headers={"Authorization": f"Bearer {alpha.admin}"})
    assert (answer.status_code, answer.json()) == (405, {"error": "Method not allowed"})
    assert alpha.get("/notifications/v1/nothing", alpha.admin).headers["content-type"] == "application/problem+json"


def test_answers_are_not_to_be_kept(alpha: Alpha) -> None:
    assert alpha.get("/notifications").headers["cache-control"] == "no-cache, no-store"


def test_jobs(alpha: Alpha, moving_clock: MovableClock) -> None:
    made = alpha.post("/job", {"job": {"name": "Arrivals", "serviceId": alpha.service_id, "filename": "arrivals.csv"}})
    assert made.status_code == 201
    job = made.json()["job"]
    assert job == {
        "id": job["id"],
        "name": "Arrivals",
        "filename": "arrivals.csv",
        "createdAt": "2026-03-02T09:00:00.000000Z",
        "serviceId": alpha.service_id,
    }
    second = alpha.post("/job", {"job": {"name": "Departures", "serviceId": alpha.service_id}}).json()["job"]
    assert "filename" not in second
    assert alpha.get(f"/service/{alpha.service_id}/jobs").json() == {"jobs": [second, job]}
    assert alpha.get(f"/job/{job['id']}").json() == {"job": job}
    assert alpha.get("/service/999/jobs").json() == {"jobs": []}
    unknown = alpha.post("/job", {"job": {"name": "Arrivals", "serviceId": 10**20}})
    assert unknown.status_code == 400
    short = alpha.post("/job", {"job": {"name": "Arr", "serviceId": alpha.service_id, "filename": "a"}}).json()
    assert short["error_details"] == [
        {"key": "filename", "message": "'a' is too short"},
        {"key": "name", "message": "'Arr' is too short"},
    ]


def test_services_are_made_and_switched(alpha: Alpha) -> None:
    made = alpha.post("/service", {"service": {"name": "Plant office", "userId": alpha.user_id}})
    assert made.status_code == 201
    service = made.json()["service"]
    assert service.keys() == {"id", "name", "createdAt", "active", "restricted", "limit", "token"}
    assert (service["active"], service["restricted"], service["limit"]) == (True, True, 100)
    assert str(UUID(service["token"]["token"])) == service["token"]["token"]
    assert alpha.sms(service["token"]["token"], to="+447700900456").status_code == 201
    for word, member, value in [
        ("deactivate", "active", False),
        ("activate", "active", True),
        ("unrestrict", "restricted", False),
        ("restrict", "restricted", True),
    ]:
        answer = alpha.post(f"/service/{service['id']}/{word}")
        assert (answer.status_code, answer.json()["service"][member]) == (200, value)
        assert alpha.post(f"/service/999999/{word}").status_code == 404
    unknown = alpha.post("/service", {"service": {"name": "Plant office", "userId": 999}})
    assert (unknown.status_code, unknown.json()) == (400, {"error": "failed to create service - invalid user"})
    assert alpha.post("/service", {"service": {"name": "Plant office", "userId": alpha.user_id}}).status_code == 400
    with alpha.database.read() as session:
        actions = [entry.action for entry in session.query(AuditEntry).all()]
    assert actions == ["service.created"] + ["service.changed"] * 4


def test_users_of_services(alpha: Alpha) -> None:
    path = f"/service/{alpha.service_id}"
    created = alpha.post("/users", {"user": new_user()}).json()["users"]
    address = {"user": {"emailAddress": "New@office.gov.uk"}}
    for _ in range(2):
        added = alpha.post(f"{path}/add-user", address)
        assert (added.status_code, added.json()["users"]["id"]) == (200, alpha.service_id)
    listed = alpha.get(f"{path}/users").json()["users"]
    assert [user["emailAddress"] for user in listed] == ["person@office.gov.uk", "new@office.gov.uk"]
    for _ in range(2):
        assert alpha.post(f"{path}/remove-user", address).status_code == 200
    assert len(alpha.get(f"{path}/users").json()["users"]) == 1
    assert alpha.post(f"{path}/add-user", {"user": {"emailAddress": "nobody@office.gov.uk"}}).status_code == 404
    assert alpha.post("/service/999/add-user", address).status_code == 404
    assert alpha.post(f"{path}/add-user", {"user": {}}).json()["error_details"] == [
        {"required": ["'emailAddress' is a required property"]}
    ]
    assert alpha.get(f"/user/{created['id']}/services").json() == {"services": []}


def test_services_of_users(alpha: Alpha) -> None:
    other, _ = alpha.other()
    own = alpha.get(f"/user/{alpha.user_id}/services").json()["services"]
    assert [service["id"] for service in own] == [alpha.service_id]
    assert alpha.get(f"/user/{alpha.user_id}/service/{alpha.service_id}").json()["service"] == own[0]
    assert alpha.get(f"/user/{alpha.user_id}/service/{other}").status_code == 404
    assert alpha.get("/user/999/services").json() == {"services": []}
    with alpha.database.transaction() as session:
        session.get_one(User, alpha.user_id).platform_admin = True
    seen = alpha.get(f"/user/{alpha.user_id}/services").json()["services"]
    assert [service["id"] for service in seen] == [other, alpha.service_id]
    assert alpha.get(f"/users/{alpha.user_id}").json()["users"]["role"] == "platform-admin"


def new_user(**changes: object) -> dict[str, object]:
    return {"emailAddress": "New@office.gov.uk", "mobileNumber": "+447700900789", "password": PASSWORD} | changes


def test_users(alpha: Alpha, moving_clock: MovableClock) -> None:
    made = alpha.post("/users", {"user": new_user()})
    assert made.status_code == 201
    user = made.json()["users"]
    moment = "2026-03-02T09:00:00.000000Z"
    assert user == {
        "id": user["id"],
        "emailAddress": "new@office.gov.uk",
        "active": False,
        "locked": False,
        "createdAt": moment,
        "updatedAt": moment,
        "passwordChangedAt": moment,
        "role": "admin",
        "failedLoginCount": 0,
    }
    assert alpha.get(f"/users/{user['id']}").json() == {"users": user}
    assert alpha.get("/users?email_address=NEW@office.gov.uk").json() == {"users": user}
    missing = alpha.get("/users")
    assert (missing.status_code, missing.json()) == (400, {"error": "No email address provided"})
    assert alpha.post("/users", {"user": new_user()}).status_code == 400


@pytest.mark.parametrize(
    ("changes", "key", "message"),
    [
        ({"password": "short"}, "password", "Invalid password"),
        ({"password": 5}, "password", "Invalid password"),
        ({"mobileNumber": "07700900789"}, "mobileNumber", r"'07700900789' does not match '^\\+44[\\d]{10}$'"),
        ({"emailAddress": "new@elsewhere.example"}, "emailAddress", None),
    ],
)
def test_faults_of_a_user_are_told_and_never_the_password(
    alpha: Alpha, changes: dict[str, object], key: str, message: str | None
) -> None:
    answer = alpha.post("/users", {"user": new_user(**changes)})
    assert answer.status_code == 400
    (detail,) = answer.json()["error_details"]
    assert detail["key"] == key
    assert message is None or detail["message"] == message


def test_signing_in(alpha: Alpha) -> None:
    def sign_in(password: str, address: str = "New@office.gov.uk") -> tuple[int, object]:
        given = {"userAuthentication": {"emailAddress": address, "password": password}}
        answer = alpha.post("/users/auth", given)
        return answer.status_code, answer.json()

    refused = {"authorization": False}
    user = alpha.post("/users", {"user": new_user()}).json()["users"]
    assert sign_in(PASSWORD) == (403, refused), "inactive"
    assert sign_in(PASSWORD, "nobody@office.gov.uk") == (404, refused)
    unknown = alpha.post("/user/999999/activate")
    assert (unknown.status_code, unknown.json()) == (404, refused)
    active = alpha.post(f"/user/{user['id']}/activate")
    assert (active.status_code, active.json()["users"]["active"]) == (200, True)
    assert active.json()["users"]["failedLoginCount"] == 0
    for _ in range(5):
        assert sign_in("a wrong password") == (403, refused)
    status, body = sign_in(PASSWORD)
    assert status == 200
    assert isinstance(body, dict)
    assert body["users"]["failedLoginCount"] == 0
    for _ in range(6):
        sign_in("a wrong password")
    assert sign_in(PASSWORD) == (403, refused), "locked"
    shown = alpha.get(f"/users/{user['id']}").json()["users"]
    assert (shown["locked"], shown["failedLoginCount"]) == (True, 7)
    alpha.post(f"/user/{user['id']}/activate")
    assert sign_in(PASSWORD)[0] == 200


def test_organisations(alpha: Alpha) -> None:
    with alpha.database.transaction() as session:
        services.create_service(session, "Registry office", organisation="The city")
        number = session.query(Organisation).one().id
    assert alpha.get(f"/organisation/{number}").json() == {"organisation": {"id": number, "name": "The city"}}


def test_links(alpha: Alpha) -> None:
    refused = alpha.http.get("/")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert refused.json() == {"error": "Unauthorized, bearer token must be provided"}
    assert alpha.get("/", "nobody's").status_code == 403
    links = alpha.get("/", alpha.client).json()["links"]
    assert len(links) == 14
    base = settings.current().base_url
    assert links["notification.create"] == {"url": f"{base}/sms/notification", "method": "POST"}
    for name, link in links.items():
        path = link["url"].removeprefix(base)
        answer = alpha.http.request(link["method"], path, headers={"Authorization": f"Bearer {alpha.admin}"})
        assert answer.status_code in {200, 400, 404}, name
        assert answer.json() != {"error": "Not found"} or "123" in path, name
    page = alpha.http.get("/", headers={"Accept": "text/html"}, follow_redirects=False)
    assert (page.status_code, page.headers["location"]) == (303, "/portal")
