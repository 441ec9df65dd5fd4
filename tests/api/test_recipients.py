"""``/registry/v1/recipients`` over HTTP."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from backend.db.database import Database
from backend.db.models.registry import Endpoint
from tests.registry import http_client
from tests.registry.http_client import Client, pointers

PATH = "/registry/v1/recipients"
GROUP = {"name": "Night shift", "endpoints": [{"type": "EMAIL", "address": "alerts@lab.example"}]}


def test_a_recipient_is_created_replaced_read_and_deleted(client: Client) -> None:
    created = client.put(f"{PATH}/X_LAB", json=GROUP)
    assert created.status_code == 201
    body = created.json()
    assert {name: body[name] for name in ("identifier", *GROUP)} == {"identifier": "X_LAB", **GROUP}
    assert body.keys() == {"identifier", "name", "endpoints", "created_at", "updated_at"}
    again = client.put(f"{PATH}/X_LAB", json=GROUP)
    assert (again.status_code, again.json()) == (200, body)
    assert client.get(f"{PATH}/X_LAB").json() == body
    gone = client.delete(f"{PATH}/X_LAB")
    assert (gone.status_code, gone.content) == (204, b"")
    assert client.get(f"{PATH}/X_LAB").status_code == 404
    assert client.delete(f"{PATH}/X_LAB").status_code == 404
    assert client.put(f"{PATH}/X_LAB", json=GROUP).status_code == 201


def test_addresses_are_answered_in_canonical_form(client: Client) -> None:
    endpoints = [{"type": "EMAIL", "address": " alerts@LAB.example"}, {"type": "SMS", "address": "+44 7700 900123"}]
    answer = client.put(f"{PATH}/X_LAB", json={"name": "Lab", "endpoints": endpoints}).json()
    assert [endpoint["address"] for endpoint in answer["endpoints"]] == ["alerts@lab.example", "+447700900123"]


def test_another_service_neither_sees_nor_takes_a_recipient(client: Client, other: dict[str, str]) -> None:
    client.put(f"{PATH}/X_LAB", json=GROUP)
    assert client.get(f"{PATH}/X_LAB", headers=other).status_code == 404
    assert client.delete(f"{PATH}/X_LAB", headers=other).status_code == 404
    assert client.get(PATH, headers=other).json() == {"recipients": [], "next_cursor": None}
    for _ in ("alive", "deleted"):
        taken = client.put(f"{PATH}/X_LAB", json=GROUP, headers=other)
        assert (taken.status_code, taken.json()["code"]) == (409, "identifier_taken")
        client.delete(f"{PATH}/X_LAB")


@pytest.mark.parametrize("identifier", ["lab", "AB", "1LAB", "X-LAB", "A" * 65, "X_LAB%0A", "\u0410BCD"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_invalid_identifier_is_said_to_be_one(client: Client, method: str, identifier: str) -> None:
    answer = client.request(method, f"{PATH}/{identifier}", json=GROUP if method == "PUT" else None)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_identifier")


def test_every_faulty_address_is_pointed_at(client: Client) -> None:
    endpoints = [
        {"type": "EMAIL", "address": "nobody"},
        {"type": "SLACK", "address": "#alerts"},
        {"type": "SMS", "address": "07700900123"},
        {"type": "SLACK", "address": "#Alerts"},
    ]
    answer = client.put(f"{PATH}/X_LAB", json={"name": "Lab", "endpoints": endpoints})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_address")
    assert pointers(answer.json()) == {
        "/endpoints/0/address": "invalid_address",
        "/endpoints/2/address": "invalid_address",
        "/endpoints/3/address": "invalid_address",
    }
    assert client.get(f"{PATH}/X_LAB").status_code == 404


def test_every_fault_of_form_is_pointed_at(client: Client) -> None:
    endpoints = [{"type": "PIGEON", "address": "coop"}, {"type": "EMAIL"}, {"type": "EMAIL", "address": 7}]
    answer = client.put(f"{PATH}/X_LAB", json={"name": "", "endpoints": endpoints, "colour": "red"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert pointers(answer.json()) == {
        "/name": "invalid_value",
        "/endpoints/0/type": "invalid_value",
        "/endpoints/1/address": "missing_member",
        "/endpoints/2/address": "invalid_type",
        "/colour": "unknown_member",
    }


@pytest.mark.parametrize(("count", "status"), [(500, 201), (501, 400)])
def test_a_recipient_has_at_most_500_endpoints(client: Client, count: int, status: int) -> None:
    endpoints = [{"type": "EMAIL", "address": f"a{number}@lab.example"} for number in range(count)]
    assert client.put(f"{PATH}/X_LAB", json={"name": "Lab", "endpoints": endpoints}).status_code == status


@pytest.mark.parametrize("name", ["", "   ", "two\nlines", "n" * 161, None, 5])
def test_a_name_is_one_line_of_at_most_160_characters(client: Client, name: object) -> None:
    answer = client.put(f"{PATH}/X_LAB", json={**GROUP, "name": name})
    assert (answer.status_code, list(pointers(answer.json()))) == (400, ["/name"])
    assert client.put(f"{PATH}/X_LAB", json={**GROUP, "name": "n" * 160}).status_code == 201


def test_pages_lead_through_the_whole_list(client: Client) -> None:
    identifiers = [f"GROUP_{number:02}" for number in range(7)]
    for identifier in reversed(identifiers):
        client.put(f"{PATH}/{identifier}", json=GROUP)
    seen, parameters = [], {"limit": "3"}
    for _ in range(3):
        page = client.get(PATH, params=parameters).json()
        seen.append([item["identifier"] for item in page["recipients"]])
        parameters["cursor"] = page["next_cursor"]
    assert seen == [identifiers[:3], identifiers[3:6], identifiers[6:]]
    assert parameters["cursor"] is None


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
        ("limit=many", "/limit"),
        ("limit=1&limit=2", "/limit"),
        ("cursor=", "/cursor"),
        ("cursor=nonsense", "/cursor"),
        ("cursor=WzFd", "/cursor"),  # [1]
        ("cursor=WyJcdTAwMDAiXQ", "/cursor"),  # ["\u0000"]
        ("cursor=" + "A" * 2000, "/cursor"),
        ("offset=3", "/offset"),
    ],
)
def test_faulty_parameters_are_named(client: Client, query: str, pointer: str) -> None:
    answer = client.get(f"{PATH}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert list(pointers(answer.json())) == [pointer]


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/X_LAB"), ("PUT", "/X_LAB"), ("DELETE", "/X_LAB")])
def test_unknown_parameters_are_named_by_every_address(client: Client, method: str, path: str) -> None:
    answer = client.request(method, f"{PATH}{path}?dry_run=1&force", json=GROUP if method == "PUT" else None)
    assert answer.status_code == 400
    assert list(pointers(answer.json()).items()) == [("/dry_run", "unknown_member"), ("/force", "unknown_member")]


def test_reading_and_writing_need_their_scopes(client: Client, database: Database, services: tuple[int, int]) -> None:
    reader = http_client.authorization(database, services[0], "registry:read", "notifications:send")
    writer = http_client.authorization(database, services[0], "registry:write")
    assert client.put(f"{PATH}/X_LAB", json=GROUP, headers=reader).status_code == 403
    assert client.delete(f"{PATH}/X_LAB", headers=reader).status_code == 403
    assert client.get(f"{PATH}/X_LAB", headers=writer).status_code == 403
    assert client.get(PATH, headers=writer).status_code == 403
    assert client.get(PATH, headers={"Authorization": ""}).status_code == 401


def test_a_body_must_be_json_and_of_reasonable_size(client: Client) -> None:
    path = f"{PATH}/X_LAB"
    assert client.put(path, content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
    large = b'{"name": "' + b"n" * 1024 * 1024 + b'"}'
    assert client.put(path, content=large, headers={"Content-Type": "application/json"}).status_code == 413
    faulty = client.put(path, content=b'{"name": "a",}', headers={"Content-Type": "application/json"})
    assert (faulty.status_code, faulty.json()["code"]) == (400, "malformed_json")


def test_two_services_that_put_at_once_get_one_owner(client: Client, other: dict[str, str]) -> None:
    mine = dict(client.headers)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda number: client.put(f"{PATH}/X_LAB", json=GROUP, headers=other if number % 2 else mine),
                range(16),
            )
        )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 7 + [201] + [409] * 8


def test_a_secret_address_is_answered_with_its_ends_and_may_be_sent_back_so(client: Client, database: Database) -> None:
    flow = "https://prod-1.westeurope.logic.azure.com/workflows/a1/invoke?api-version=1&sig=s3cr3t-abcd"
    shown = "https://prod-1.westeurope.logic.azure.com/…abcd"
    body = {"name": "Lab", "endpoints": [{"type": "MSTEAMS", "address": flow}]}
    answers = [client.put(f"{PATH}/X_LAB", json=body), client.get(f"{PATH}/X_LAB"), client.get(PATH)]
    assert all("s3cr3t" not in answer.text and shown in answer.text for answer in answers)
    again = client.put(f"{PATH}/X_LAB", json={"name": "Labs", "endpoints": answers[1].json()["endpoints"]})
    assert again.status_code == 200, again.text
    with database.read() as session:
        (row,) = session.scalars(select(Endpoint)).all()
    assert (row.address, row.type) == (flow, "MSTEAMS")
    other = client.put(f"{PATH}/X_ELSE", json={"name": "Else", "endpoints": answers[1].json()["endpoints"]})
    assert (other.status_code, other.json()["code"]) == (422, "invalid_address")
