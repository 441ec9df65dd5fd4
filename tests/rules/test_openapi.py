"""What readers and generators of clients may take for granted of the OpenAPI document."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from backend.accounts.clients import ALL_SCOPES
from backend.api import openapi
from backend.lib.settings import from_environment
from tests.application import application
from tests.conftest import SECRET_KEY

Part = dict[str, Any]
VERBS = re.compile(
    r"(send|acknowledge|close|cancel|explain|get|list|preview|flush|hold|release|remove|put|delete|rotate|enable|disable"
    r"|redeliver|issue|revoke|introspect|resolve)[A-Z][A-Za-z]+"
)
PUBLIC = {
    "issueToken",
    "revokeToken",
    "introspectToken",
    "getAuthorizationServer",
    "getSigningKeys",
    "getHealth",
    "getReadiness",
}
ENUMS = {
    "AcceptedNotification.status",
    "Batch.status",
    "Batch.why",
    "BulkResult.notification_status",
    "Channel.type",
    "ChannelRequest.content_type",
    "ChannelRequest.type",
    "Delivery.status",
    "Endpoint.type",
    "EndpointRequest.type",
    "ExplainedChannel.type",
    "Explanation.would",
    "Notification.priority",
    "Notification.status",
    "NotificationRequest.priority",
    "NotificationSummary.priority",
    "NotificationSummary.status",
    "PreviewRequest.priority",
    "Problem.notification_status",
    "Template.format",
    "Template.kind",
}


@pytest.fixture(scope="module")
def document() -> Part:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(openapi.settings, "current", lambda: from_environment({"CARILLON_SECRET_KEY": SECRET_KEY}))
        return openapi.create_document(application())


def operations(document: Part) -> Iterator[Part]:
    """Yield every operation."""
    for item in document["paths"].values():
        yield from item.values()


def parts(part: Any) -> Iterator[Part]:
    """Yield every object within a part, itself included."""
    if isinstance(part, dict):
        yield part
    for one in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from parts(one)


def contents(document: Part) -> Iterator[tuple[str, Part]]:
    """Yield each body and each answer that has one, named by its operation and status."""
    for operation in operations(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            yield operation["operationId"], content
        for status, answer in operation["responses"].items():
            shared = answer.get("$ref", "").removeprefix("#/components/responses/")
            described = document["components"]["responses"][shared] if shared else answer
            for content in described.get("content", {}).values():
                yield f"{operation['operationId']} {status}", content


def test_no_two_schemas_have_one_title_and_each_is_named_by_it(document: Part) -> None:
    schemas = document["components"]["schemas"]
    assert {name: schema["title"] for name, schema in schemas.items()} == {name: name for name in schemas}
    assert [one for one in schemas if re.search(r"(Answer|Details?|In|Record|Report|Row|Shape)$", one)] == [
        "BatchDetails"
    ]
    assert [one["title"] for one in parts(document) if isinstance(one.get("title"), str) and "detail" not in one] == [
        "Carillon",
        *schemas,
    ]


def test_an_operation_is_named_by_a_verb_and_what_it_is_about(document: Part) -> None:
    named = [operation["operationId"] for operation in operations(document)]
    assert len(set(named)) == len(named)
    assert [name for name in named if not VERBS.fullmatch(name)] == []
    assert {"sendNotification", "sendNotifications", "getNotification", "previewTemplate"} <= set(named)


def test_an_operation_says_which_scope_it_needs_or_that_it_needs_none(document: Part) -> None:
    public = {operation["operationId"] for operation in operations(document) if operation["security"] == []}
    assert public == PUBLIC
    for operation in operations(document):
        for asked in operation["security"]:
            assert list(asked) == ["oauth2"]
            assert set(asked["oauth2"]) < set(ALL_SCOPES)


def test_every_body_and_every_answer_has_an_example_that_follows_its_schema(document: Part) -> None:
    for where, content in contents(document):
        assert "example" in content, where
        schema = {**content["schema"], "components": document["components"]}
        faults = [fault.message for fault in jsonschema.Draft202012Validator(schema).iter_errors(content["example"])]
        assert faults == [], where


def test_the_examples_of_problems_show_their_own_status(document: Part) -> None:
    for where, content in contents(document):
        status = where.partition(" ")[2]
        if content["schema"]["$ref"].endswith("/Problem") and status != "default":
            assert content["example"]["status"] == int(status), where


def test_every_refusal_of_a_guarded_operation_tells_what_to_do_in_its_headers(document: Part) -> None:
    answers = document["components"]["responses"]
    for operation in operations(document):
        if operation["security"]:
            assert {"401", "403", "429"} <= operation["responses"].keys(), operation["operationId"]
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= answers["TooManyRequests"]["headers"].keys()
    assert "WWW-Authenticate" in answers["Unauthenticated"]["headers"]


def test_only_what_is_sent_and_is_the_same_again_takes_an_idempotency_key(document: Part) -> None:
    taking = {
        operation["operationId"]
        for operation in operations(document)
        if {"$ref": "#/components/parameters/IdempotencyKey"} in operation.get("parameters", [])
    }
    assert taking == {"sendNotification", "sendNotifications"}


def test_words_that_are_few_are_listed(document: Part) -> None:
    for property_name in ENUMS:
        name, _, member = property_name.partition(".")
        schema = document["components"]["schemas"][name]["properties"][member]
        for option in schema.get("anyOf", [schema]):
            shared = option.get("$ref", "").rpartition("/")[2]
            described = document["components"]["schemas"][shared] if shared else option
            assert described.get("enum") or described == {"type": "null"}, property_name


def test_no_choice_has_one_member(document: Part) -> None:
    for part in parts(document):
        for keyword in ("oneOf", "anyOf"):
            assert not isinstance(part.get(keyword), list) or len(part[keyword]) > 1, part


def test_no_member_with_a_default_must_be_given(document: Part) -> None:
    """Generators make a required member of one with ``default``, so no member of a body or an answer has one."""
    for name, schema in document["components"]["schemas"].items():
        assert [member for member, own in schema.get("properties", {}).items() if "default" in own] == [], name
    for name in ("NotificationRequest", "ChannelRequest"):
        assert not {"priority", "content_type", "fields"} & set(
            document["components"]["schemas"][name].get("required", ())
        )


@pytest.mark.parametrize(
    ("given", "is_right"),
    [
        ({"recipient": ["LAB"]}, True),
        ({"recipients": ["LAB"]}, True),
        ({}, False),
        ({"recipient": ["LAB"], "recipients": ["LAB"]}, False),
        ({"recipients": []}, False),
    ],
)
def test_a_channel_takes_either_spelling_of_recipient(document: Part, given: Part, *, is_right: bool) -> None:
    schema = {"$ref": "#/components/schemas/ChannelRequest", "components": document["components"]}
    channel = {"type": "EMAIL", "template_id": "X_SAMPLE"} | given
    assert jsonschema.Draft202012Validator(schema).is_valid(channel) is is_right
