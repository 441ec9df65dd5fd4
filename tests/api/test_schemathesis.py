"""The served OpenAPI document holds for every operation: generated requests meet no 5xx and no undocumented answer.

The requests are made when they are sent: made when tests are collected, they would be made by every process of a run.
"""

from collections.abc import Callable

import pytest
import requests
from httpx import Response
from hypothesis import HealthCheck, Phase, settings
from schemathesis import BaseSchema, Case
from schemathesis.checks import not_a_server_error
from schemathesis.openapi import from_dict
from schemathesis.pytest.lazy import get_all_tests
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from backend.accounts.clients import SCOPES
from backend.api import openapi
from backend.lib.settings import from_environment
from tests.api.conftest import Site, is_problem
from tests.application import application
from tests.conftest import SECRET_KEY

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    missing_required_header,
]
BOUNDED = settings(
    max_examples=8, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="session")
def described() -> BaseSchema:
    """Describe the application without the catch-all answers, so that each status has to be named."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(openapi.settings, "current", lambda: from_environment({"CARILLON_SECRET_KEY": SECRET_KEY}))
        document = openapi.create_document(application())
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("default", None)
    return from_dict(document)


def call(site: Site, case: Case, authorization: str | None) -> Response:
    """Send a generated request to the application."""
    request = requests.Request(**case.as_transport_kwargs(base_url="http://testserver.local")).prepare()
    headers = {name: value for name, value in request.headers.items() if name.lower() != "authorization"}
    prepared = site.http.build_request(str(request.method), str(request.url), content=request.body, headers=headers)
    prepared.headers.pop("authorization", None)
    if authorization is not None:
        prepared.headers["authorization"] = authorization
    return site.http.send(prepared)


def each(schema: BaseSchema, ask: Callable[..., None], site: Site, subtests: pytest.Subtests) -> None:
    """Ask each operation by itself; what fails is told by its method and path."""
    for found in get_all_tests(schema=schema, test_func=ask, settings=None, given_kwargs=None):
        operation, test = found.ok()
        with subtests.test(operation.label):
            test(site=site)


@BOUNDED
def has_its_answer(case: Case, site: Site) -> None:
    answer = call(site, case, site.http.headers["authorization"])
    # Explaining accepts what is wrong: it tells what. What is too large is refused before it is read.
    lenient = case.path.endswith(("/explain", "/bulk")) or answer.status_code == 413
    strict = [] if lenient else [negative_data_rejection]
    case.validate_response(answer, checks=CHECKS + strict)


@settings(BOUNDED, max_examples=2, phases=[Phase.generate])
def is_guarded(case: Case, site: Site) -> None:
    if not case.operation.definition.raw.get("security") or case.method == "OPTIONS":
        return
    for authorization, code in ((None, "unauthenticated"), ("Bearer wrong", "invalid_token")):
        answer = call(site, case, authorization)
        if answer.status_code not in {400, 405}:  # what the framework refuses before it looks at the token
            is_problem(answer, 401, code)
        case.validate_response(answer, checks=CHECKS)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("methods", [["GET"], ["POST"], ["PUT", "PATCH", "DELETE"]], ids="-".join)
def test_every_answer_is_one_that_the_document_names(
    described: BaseSchema, methods: list[str], site: Site, subtests: pytest.Subtests
) -> None:
    each(described.include(method=methods), has_its_answer, site, subtests)


def test_no_operation_has_another_method(described: BaseSchema) -> None:
    methods = {method for path in described.raw_schema["paths"].values() for method in path}
    assert methods <= {"get", "post", "put", "patch", "delete"}


@pytest.mark.timeout(600)
def test_without_a_token_that_counts_guarded_addresses_answer_401_as_documented(
    described: BaseSchema, site: Site, subtests: pytest.Subtests
) -> None:
    each(described, is_guarded, site, subtests)


def test_the_served_document_is_the_one_that_is_tested_and_names_every_guarded_scope(
    site: Site, described: BaseSchema
) -> None:
    document = site.http.get("/docs/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert document["paths"].keys() == described.raw_schema["paths"].keys()
    guarded = [one["security"] for path in document["paths"].values() for one in path.values() if one["security"]]
    assert {scope for security in guarded for scope in security[0]["oauth2"]} == set(SCOPES)
