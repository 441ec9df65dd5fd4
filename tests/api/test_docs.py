"""The API's documentation: a valid OpenAPI document, pages from our own host, the error catalogue, the links."""

import json
import re
import subprocess
from collections.abc import Iterator
from html import unescape
from http import HTTPStatus
from typing import Annotated, Any

import jsonschema_rs
import pytest
import schemathesis
from litestar import Litestar, Response, post
from litestar.testing import TestClient
from pydantic import Field

from backend.api import openapi
from backend.db.database import Database
from backend.lib.catalogue import CATALOGUE
from backend.lib.strict_json import Shape
from tests.application import application

_PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def client(database: Database) -> Iterator[TestClient[Litestar]]:
    with TestClient(application()) as opened:
        yield opened


@pytest.fixture
def document(client: TestClient[Litestar]) -> dict[str, Any]:
    answer = client.get("/docs/openapi.json")
    assert answer.headers["content-type"].startswith("application/json")
    read: dict[str, Any] = answer.json()
    return read


def test_the_document_is_valid_and_every_operation_can_be_read(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    schema = schemathesis.openapi.from_dict(document)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert {"POST /notifications/v1", "GET /readyz"} <= {operation.label for operation in operations}


def test_every_schema_is_json_schema_and_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}), name
    for reference in _references(document):
        part: Any = document
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for member in part.values():
            yield from _references(member)
    elif isinstance(part, list):
        for member in part:
            yield from _references(member)


def test_pages_and_static_files_are_no_part_of_the_document(document: dict[str, Any]) -> None:
    assert not [path for path in document["paths"] if path == "/" or path.startswith(("/portal", "/static", "/docs"))]


def test_sending_a_notification_is_described_whole(document: dict[str, Any]) -> None:
    send = document["paths"]["/notifications/v1"]["post"]
    assert send["requestBody"]["required"] is True
    assert send["requestBody"]["content"]["application/json"]["schema"]["$ref"].startswith("#/components/schemas/")
    assert send["security"] == [{"oauth2": ["notifications:send"]}]
    for status in ("400", "401", "403", "413", "415", "422", "429"):
        described = send["responses"][status]
        if "$ref" in described:
            described = document["components"]["responses"][described["$ref"].rpartition("/")[2]]
        assert list(described["content"]) == ["application/problem+json"], status
    flow = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"].endswith("/oauth/token")
    assert "notifications:send" in flow["scopes"]


def test_every_operation_has_a_described_tag_and_a_summary(document: dict[str, Any]) -> None:
    described = {tag["name"] for tag in document["tags"] if tag.get("description")}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (method, path)
            assert set(operation["tags"]) <= described, (method, path)


class _Inner(Shape):
    number: Annotated[int, Field(ge=1)]


class _Outer(Shape):
    inner: list[_Inner]


@post("/thing", opt={"body": _Outer, "body_media_type": "application/vnd.thing+json"})
async def _thing() -> Response[None]:
    return Response(None)


def test_every_parameter_and_every_answer_is_described_in_our_words(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for parameter in operation.get("parameters", []):
                shared = document["components"]["parameters"].get(parameter.get("$ref", "").rpartition("/")[2])
                assert (shared or parameter).get("description"), f"{method} {path} {parameter}"
            for status, answer in operation["responses"].items():
                stock = HTTPStatus(int(status)).description if status.isdigit() else None
                assert "$ref" in answer or answer["description"] != stock, f"{method} {path} {status}"


def test_a_body_and_what_it_is_made_of_go_to_the_components(database: Database) -> None:
    made = openapi.create_document(Litestar([_thing], openapi_config=openapi.config(), logging_config=None))
    content = made["paths"]["/thing"]["post"]["requestBody"]["content"]
    assert content == {"application/vnd.thing+json": {"schema": {"$ref": "#/components/schemas/_Outer"}}}
    schemas = made["components"]["schemas"]
    assert schemas["_Outer"]["properties"]["inner"]["items"] == {"$ref": "#/components/schemas/_Inner"}
    assert schemas["_Inner"]["properties"]["number"]["minimum"] == 1
    assert list(made["paths"]) == ["/thing"]


def test_two_models_of_one_name_are_refused(database: Database) -> None:
    other = type("_Outer", (Shape,), {"__annotations__": {"else_": str}})

    @post("/other", opt={"body": other})
    async def _other() -> Response[None]:
        return Response(None)

    with pytest.raises(ValueError, match="both named _Outer"):
        openapi.create_document(Litestar([_thing, _other], openapi_config=openapi.config(), logging_config=None))


def test_the_page_loads_everything_from_our_own_host(client: TestClient[Litestar]) -> None:
    page = client.get("/docs", headers=_PAGE)
    assert page.status_code == 200
    assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", page.text)
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_the_page_shows_every_operation_and_every_link_of_it_leads_somewhere(
    client: TestClient[Litestar], document: dict[str, Any]
) -> None:
    page, models = (client.get(address, headers=_PAGE).text for address in ("/docs", "/docs/models"))
    anchors = {one: re.findall(r' id="([^"]+)"', one) for one in (page, models)}
    for one, own in anchors.items():
        assert len(own) == len(set(own))
        assert set(re.findall(r'href="#([^"]+)"', one)) <= set(own)
        assert set(re.findall(r'href="/docs/models#([^"]+)"', one)) <= set(anchors[models])
    for path, item in document["paths"].items():
        for operation in item.values():
            assert f'id="{operation["operationId"]}"' in page
            assert path in page
    assert set(document["components"]["schemas"]) <= set(anchors[models])


@pytest.mark.parametrize("address", ["/docs", "/docs/models"])
def test_a_page_is_light(client: TestClient[Litestar], address: str) -> None:
    page = client.get(address, headers=_PAGE | {"Accept-Encoding": "gzip"})
    assert page.headers["content-encoding"] == "gzip"
    parts = [client.get(address) for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)]
    sizes = [int(one.headers["content-length"]) for one in (page, *parts)]
    assert sum(sizes) < 100_000, sizes
    assert len(page.content) < 200_000


def test_a_command_of_the_page_is_one_for_a_shell(client: TestClient[Litestar]) -> None:
    page = client.get("/docs", headers=_PAGE).text
    section = page[page.index('id="sendNotification"') :]
    command = unescape(re.findall(r"<code>(curl [^<]+)</code>", section)[0])
    said = subprocess.run(
        ["sh", "-c", f"curl() {{ printf '%s\\n' \"$@\"; }}; TOKEN=secret; {command}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert said[:2] == ["-sS", "-X"]
    assert "Authorization: Bearer secret" in said
    assert json.loads(said[said.index("-d") + 1])["channels"]


def test_each_code_of_the_catalogue_is_an_anchor(client: TestClient[Litestar]) -> None:
    page = client.get("/docs/errors", headers=_PAGE).text
    for code, entry in CATALOGUE.items():
        assert f'id="{code}"' in page
        assert f"HTTP {entry.status}" in page


def test_programs_get_the_catalogue_as_data(client: TestClient[Litestar]) -> None:
    rows = client.get("/docs/errors", headers={"Accept": "application/json"}).json()["errors"]
    assert {row["code"] for row in rows} == set(CATALOGUE)
    assert set(rows[0]) == {"code", "title", "status", "meaning", "remedy"}


def test_a_missing_page_of_the_documentation(client: TestClient[Litestar]) -> None:
    assert "Page not found" in client.get("/docs/nothing", headers=_PAGE).text
    assert client.get("/docs/nothing").headers["content-type"] == "application/problem+json"


def test_the_root_sends_browsers_to_the_portal_and_asks_programs_for_a_token(client: TestClient[Litestar]) -> None:
    led = client.get("/", headers=_PAGE, follow_redirects=False)
    assert (led.status_code, led.headers["location"], led.headers["vary"]) == (303, "/portal", "Accept")
    for accept in ("application/json", "*/*"):
        assert client.get("/", headers={"Accept": accept}).status_code == 401
