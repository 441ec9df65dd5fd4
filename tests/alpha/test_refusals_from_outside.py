"""What the alpha's entry point refuses, over HTTP: each status and body to the letter, as its clients know them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.alpha.outside import MOBILE, PASSWORD, Outside, served

SMS, EMAIL = "/sms/notification", "/email/notification"
# Each address that takes a body, with its root element and one that is right.
RIGHT: dict[str, tuple[str, dict[str, Any]]] = {
    SMS: ("notification", {"to": "+441234512345", "message": "hello world"}),
    EMAIL: ("notification", {"to": "a@b.example", "from": "s@office.gov.uk", "subject": "One", "message": "Two"}),
    "/job": ("job", {"name": "A job of ours", "serviceId": 1}),
    "/service": ("service", {"name": "One more office", "userId": 1}),
    "/service/{service}/add-user": ("user", {"emailAddress": "boss@office.gov.uk"}),
    "/service/{service}/remove-user": ("user", {"emailAddress": "boss@office.gov.uk"}),
    "/users": ("user", {"emailAddress": "n@office.gov.uk", "mobileNumber": MOBILE, "password": PASSWORD}),
    "/users/auth": ("userAuthentication", {"emailAddress": "test-user@office.gov.uk", "password": PASSWORD}),
}
ADMIN_ONLY = [
    ("GET", "/job/{job}"),
    ("GET", "/service/{service}/jobs"),
    *(("POST", path) for path in RIGHT if path not in {SMS, EMAIL}),
    *(("POST", f"/service/{{service}}/{word}") for word in ("activate", "deactivate", "restrict", "unrestrict")),
    ("GET", "/service/{service}/users"),
    ("GET", "/service/{service}/usage"),
    ("GET", "/user/{user}/services"),
    ("GET", "/user/{user}/service/{service}"),
    ("POST", "/user/{user}/activate"),
    ("GET", "/users/{user}"),
    ("GET", "/users?email_address=boss@office.gov.uk"),
    ("GET", "/organisation/{organisation}"),
]
ANY_TOKEN = [("POST", SMS), ("POST", EMAIL), ("GET", "/notifications"), ("GET", "/notification/1"), ("GET", "/")]
ANY_TOKEN.append(("GET", "/job/{job}/notifications"))
STAFFING = ("add-user", "remove-user")
FOREIGN = {"jobId": "foreign_job"}
STRANGER = {"emailAddress": "no@office.gov.uk"}
NO_USER = (404, "No user with given email address")
UNAUTHORISED = {"error": "Unauthorized, bearer token must be provided"}
FORBIDDEN = {"error": "Forbidden, invalid bearer token provided"}


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[Outside]:
    with served(tmp_path_factory.mktemp("refusals"), migrated_file) as running:
        yield running


@pytest.mark.parametrize(("method", "path"), [*ADMIN_ONLY, *ANY_TOKEN])
def test_a_token_is_wanted_that_is_known_and_of_the_right_type(outside: Outside, method: str, path: str) -> None:
    without = outside.http.request(method, path.format_map(outside.numbers))
    assert (without.status_code, without.json()) == (401, UNAUTHORISED)
    assert without.headers["www-authenticate"] == "Bearer"
    unknown = outside.ask(method, path, by="does-not-exist")
    assert (unknown.status_code, unknown.json()) == (403, FORBIDDEN)
    client = outside.ask(method, path, by="client")
    assert ((client.status_code, client.json()) == (403, FORBIDDEN)) is ((method, path) in ADMIN_ONLY)


@pytest.mark.parametrize("path", RIGHT)
def test_a_body_is_json_with_its_root_element_and_nothing_unknown(outside: Outside, path: str) -> None:
    root, element = RIGHT[path]
    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}):
        answer = outside.ask("POST", path, b"to=1", **headers)
        assert (answer.status_code, answer.json()) == (
            400,
            {"error": "Unexpected Content-Type, expecting 'application/json'"},
        )
    for broken in (b"this is not JSON", b"", b'{"' + root.encode() + b'": {,}}'):
        answer = outside.ask("POST", path, broken, **{"Content-Type": "application/json"})
        assert (answer.status_code, answer.json().keys()) == (400, {"error"})
    for rootless in ({}, {"another": element}, []):
        answer = outside.ask("POST", path, rootless)
        assert (answer.status_code, answer.json()) == (
            400,
            {"error": f"Invalid JSON; must have {root} as root element"},
        )
    sentence = "Additional properties are not allowed ('organisationId' was unexpected)"
    assert details(outside, path, {"organisationId": 1}) == [{"key": "organisationId", "message": sentence}]


def details(outside: Outside, path: str, changes: dict[str, Any], without: tuple[str, ...] = ()) -> Any:
    root, element = RIGHT[path]
    given = {name: value for name, value in (element | changes).items() if name not in without}
    answer = outside.ask("POST", path, {root: given})
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid JSON"), answer.text
    assert answer.json().keys() == {"error", "error_details"}
    return answer.json()["error_details"]


@pytest.mark.parametrize(
    ("path", "missing"),
    [(path, (name,)) for path, (_, element) in RIGHT.items() for name in element]
    + [(path, tuple(element)) for path, (_, element) in RIGHT.items() if len(element) > 1],
)
def test_what_is_missing_is_listed(outside: Outside, path: str, missing: tuple[str, ...]) -> None:
    listed = [f"'{name}' is a required property" for name in missing]
    assert details(outside, path, {}, missing) == [{"required": listed}]


def short(text: str) -> str:
    return f"{text!r} is too short"


def long(text: str) -> str:
    return f"{text!r} is too long"


def no_integer(value: object) -> str:
    return f"{value!r} is not of type 'integer'"


def no_mobile(text: str) -> str:
    return rf"'{text}' does not match '^\\+44[\\d]{{10}}$'"


@pytest.mark.parametrize(
    ("path", "field", "value", "message"),
    [
        *((SMS, "to", text, no_mobile(text)) for text in ("someone", "", "447827992607", "+347827992607")),
        *((SMS, "to", text, no_mobile(text)) for text in ("07827992607", "+4407827992607", "+44 7827992607")),
        (SMS, "message", "", short("")),
        (SMS, "message", "a" * 161, long("a" * 161)),
        (SMS, "message", 5, "5 is not of type 'string'"),
        *((path, "description", "", short("")) for path in (SMS, EMAIL)),
        *((path, "description", "a" * 161, long("a" * 161)) for path in (SMS, EMAIL)),
        *((path, "jobId", "invalid", no_integer("invalid")) for path in (SMS, EMAIL)),
        (EMAIL, "to", "a@b", short("a@b")),
        (EMAIL, "to", f"{'a' * 250}@b.example", long(f"{'a' * 250}@b.example")),
        (EMAIL, "from", "a@b", short("a@b")),
        (EMAIL, "subject", "a" * 131, long("a" * 131)),
        (EMAIL, "message", "", short("")),
        (EMAIL, "message", "a" * 1901, long("a" * 1901)),
        ("/job", "name", "a", short("a")),
        ("/job", "name", "a" * 161, long("a" * 161)),
        ("/job", "filename", "", short("")),
        ("/job", "filename", "a" * 161, long("a" * 161)),
        ("/job", "serviceId", "not-valid", no_integer("not-valid")),
        ("/service", "name", "a", short("a")),
        ("/service", "name", "a" * 161, long("a" * 161)),
        ("/service", "userId", "not-valid", no_integer("not-valid")),
        ("/users", "mobileNumber", "invalid", no_mobile("invalid")),
        ("/users", "password", 5, "Invalid password"),
        ("/users/auth", "password", 5, "Invalid password"),
    ],
)
def test_a_faulty_field_is_named_in_the_words_of_json_schema(
    outside: Outside, path: str, field: str, value: object, message: str
) -> None:
    assert details(outside, path, {field: value}) == [{"key": field, "message": message}]


# Which addresses pass differs from the alpha, and the pattern is part of the sentence: see backend/docs/alpha.md.
@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        *((EMAIL, "to", value) for value in ("nobody", "@elsewhere.example", "two words@elsewhere.example")),
        *((EMAIL, "from", value) for value in ("admin@elsewhere.example", "@office.gov.uk", "a@b.gov.uk.example")),
        *(("/users", "emailAddress", value) for value in ("test@email.example", "@email.gov.uk")),
        *((path, "emailAddress", "@office.gov.uk") for path in RIGHT if path.startswith(("/users/auth", "/service/"))),
    ],
)
def test_an_address_is_one_and_on_a_permitted_domain(outside: Outside, path: str, field: str, value: str) -> None:
    (fault,) = details(outside, path, {field: value})
    assert fault["key"] == field
    assert fault["message"].startswith(f"'{value}' does not match '^")


def test_several_faults_are_in_the_order_of_their_fields(outside: Outside) -> None:
    assert details(outside, SMS, {"to": "someone", "message": ""}) == [
        {"key": "message", "message": short("")},
        {"key": "to", "message": no_mobile("someone")},
    ]
    for path, number in (("/job", "serviceId"), ("/service", "userId")):
        faults = details(outside, path, {number: "not-valid", "name": "1"})
        assert faults == [
            {"key": "name", "message": short("1")},
            {"key": number, "message": no_integer("not-valid")},
        ]


@pytest.mark.parametrize(
    ("path", "changes", "by", "refusal"),
    [
        *((path, {}, "inactive", (400, "Service is inactive")) for path in (SMS, EMAIL)),
        *((path, {"jobId": 999_999}, "client", (400, "No job associated with this job id")) for path in (SMS, EMAIL)),
        (SMS, {"jobId": 999_999}, "trial", (400, "No job associated with this job id")),
        *((path, FOREIGN, "client", (400, "Invalid job id for these credentials")) for path in (SMS, EMAIL)),
        (SMS, {}, "trial", (400, "Restricted service: cannot send notification to this number")),
        (EMAIL, {}, "trial", (400, "Restricted service: cannot send notification")),
        ("/service", {"userId": 999_999}, "admin", (400, "failed to create service - invalid user")),
        *((f"/service/{{nobody}}/{word}", {}, "admin", (404, "Service not found")) for word in STAFFING),
        *((f"/service/{{service}}/{word}", STRANGER, "admin", NO_USER) for word in STAFFING),
    ],
)
def test_what_cannot_be_done_is_told_in_the_alphas_words(
    outside: Outside, path: str, changes: dict[str, Any], by: str, refusal: tuple[int, str]
) -> None:
    root, element = RIGHT[path.replace("{nobody}", "{service}")]
    status, error = refusal
    assert outside.post(path, root, element | changes, status, by) == {"error": error}


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        *(("GET", path, 404, None) for path in ("/not-found", "/job/invalid-id", "/organisation/invalid-id")),
        *(("GET", path, 404, None) for path in ("/users/invalid", "/user/not-valid/services")),
        ("GET", "/user/{user}/service/invalid-id", 404, None),
        *(("GET", path, 404, None) for path in ("/job/{nobody}", "/organisation/{nobody}", "/notification/{nobody}")),
        *(("GET", path, 404, None) for path in ("/service/{nobody}/users", "/user/{user}/service/{nobody}")),
        *(("POST", f"/service/{{nobody}}/{word}", 404, None) for word in ("activate", "deactivate")),
        *(("POST", f"/service/{{nobody}}/{word}", 404, None) for word in ("restrict", "unrestrict")),
        ("GET", "/users/{nobody}", 404, {"error": "No user with id '999999'"}),
        ("GET", "/users?email_address=x@y.z", 404, {"error": "No user with email_address 'x@y.z'"}),
        ("GET", "/users", 400, {"error": "No email address provided"}),
        ("POST", "/user/{nobody}/activate", 404, {"authorization": False}),
    ],
)
def test_what_is_not_there_is_told_in_json(
    outside: Outside, method: str, path: str, status: int, body: dict[str, Any] | None
) -> None:
    answer = outside.ask(method, path)
    assert answer.status_code == status
    assert answer.json()["error"] if body is None else answer.json() == body


def test_what_is_switched_off_takes_nothing(tmp_path: Path, migrated_file: Path) -> None:
    with served(tmp_path, migrated_file, SMS_ENABLED="false", EMAIL_ENABLED="false") as outside:
        for path, word in ((SMS, "SMS"), (EMAIL, "EMAIL")):
            root, element = RIGHT[path]
            for body in ({root: element}, {root: {}}, b"this is not JSON"):
                answer = outside.ask("POST", path, body, "client")
                assert (answer.status_code, answer.json()) == (503, {"error": f"{word} is unavailable"})
            assert outside.ask("POST", path, {}, "nobody's").status_code == 403
