"""Bad input: each kind is answered as the contract says, read back where it has an identity, and sends nothing."""

import gzip
import json
from typing import Any

import jsonschema
import pytest

from backend.api import openapi_schemas as schemas
from backend.reports.model import NotificationReport
from tests.api.conftest import Site, is_problem
from tests.factories import notification

MIB = 1024 * 1024
REPORT = jsonschema.Draft202012Validator(
    schemas.reference(NotificationReport) | {"components": {"schemas": schemas.describe([NotificationReport])}}
)
REFUSED = "invalid_request"


def channel(**changes: Any) -> dict[str, Any]:
    """Write the body of one channel; ``...`` leaves a member out."""
    return dict(notification(**changes)["channels"][0])


def raw(old: str, new: str, **changes: Any) -> bytes:
    """Write a good notification with one piece of its text replaced."""
    text = json.dumps(notification(**changes))
    assert old in text
    return text.replace(old, new).encode()


def deep(levels: int) -> bytes:
    return raw('"S-1"', "[" * levels + "]" * levels)


# Well-formed JSON objects: body, code, and the code at each pointer.
SCHEMA: dict[str, tuple[object, dict[str, str]]] = {
    "empty object": ({}, {"/channels": "missing_member"}),
    "channels null": ({"channels": None}, {"/channels": "invalid_type"}),
    "channels an object": ({"channels": {}}, {"/channels": "invalid_type"}),
    "no channel": ({"channels": []}, {"/channels": "invalid_value"}),
    "21 channels": ({"channels": [channel()] * 21}, {"/channels": "invalid_value"}),
    "channel a string": ({"channels": ["EMAIL"]}, {"/channels/0": "invalid_type"}),
    "channel null": ({"channels": [None]}, {"/channels/0": "invalid_type"}),
    "unknown member": (notification() | {"urgent": True}, {"/urgent": "unknown_member"}),
    "unknown member of a channel": (notification(cc="x"), {"/channels/0/cc": "unknown_member"}),
    "member in another case": (notification() | {"Priority": "HIGH"}, {"/Priority": "unknown_member"}),
    "escaped pointer": (notification() | {"a/b~c": 1}, {"/a~1b~0c": "unknown_member"}),
    "type missing": (notification(type=...), {"/channels/0/type": "missing_member"}),
    "type unknown": (notification(type="PIGEON"), {"/channels/0/type": "invalid_value"}),
    "type in lower case": (notification(type="email"), {"/channels/0/type": "invalid_value"}),
    "type a number": (notification(type=1), {"/channels/0/type": "invalid_value"}),
    "recipient missing": (notification(recipient=...), {"/channels/0/recipient": "missing_member"}),
    "recipient empty": (notification(recipient=[]), {"/channels/0/recipient": "invalid_value"}),
    "recipient a string": (notification(recipient="X_LAB"), {"/channels/0/recipient": "invalid_type"}),
    "recipient of numbers": (notification(recipient=[1]), {"/channels/0/recipient/0": "invalid_type"}),
    "recipient with a null": (notification(recipient=["X_LAB", None]), {"/channels/0/recipient/1": "invalid_type"}),
    "recipient of nothing": (notification(recipient=[""]), {"/channels/0/recipient/0": "invalid_value"}),
    "101 recipients": (notification(recipient=["X_LAB"] * 101), {"/channels/0/recipient": "invalid_value"}),
    "recipient and recipients": (notification(recipients=["X_LAB"]), {"/channels/0": "invalid_value"}),
    "recipients of numbers": (
        notification(recipient=..., recipients=[1]),
        {"/channels/0/recipients/0": "invalid_type"},
    ),
    "template missing": (notification(template_id=...), {"/channels/0/template_id": "missing_member"}),
    "template null": (notification(template_id=None), {"/channels/0/template_id": "invalid_type"}),
    "template empty": (notification(template_id=""), {"/channels/0/template_id": "invalid_value"}),
    "template of 65 letters": (notification(template_id="X" * 65), {"/channels/0/template_id": "invalid_value"}),
    "content type unknown": (notification(content_type="pdf"), {"/channels/0/content_type": "invalid_value"}),
    "content type null": (notification(content_type=None), {"/channels/0/content_type": "invalid_value"}),
    "subject empty": (notification(subject=""), {"/channels/0/subject": "invalid_value"}),
    "subject a number": (notification(subject=5), {"/channels/0/subject": "invalid_type"}),
    "subject of 501 letters": (notification(subject="s" * 501), {"/channels/0/subject": "invalid_value"}),
    "subject of two lines": (notification(subject="a\r\nBcc: all@x"), {"/channels/0/subject": "invalid_value"}),
    "subject with a line separator": (notification(subject="a\u2028b"), {"/channels/0/subject": "invalid_value"}),
    "fields a list": (notification(fields=[]), {"/channels/0/fields": "invalid_type"}),
    "fields null": (notification(fields=None), {"/channels/0/fields": "invalid_type"}),
    "fields a string": (notification(fields="sample_id"), {"/channels/0/fields": "invalid_type"}),
    "priority unknown": (notification(priority="URGENT"), {"/priority": "invalid_value"}),
    "priority null": (notification(priority=None), {"/priority": "invalid_value"}),
    "BATCH without aggregator": (notification(priority="BATCH"), {"/aggregator_id": "missing_member"}),
    "aggregator with a line end": (
        notification(priority="BATCH", aggregator_id="ab\n"),
        {"/aggregator_id": "invalid_value"},
    ),
    "aggregator empty": (notification(priority="BATCH", aggregator_id=""), {"/aggregator_id": "invalid_value"}),
    "aggregator of 1,025 letters": (
        notification(priority="BATCH", aggregator_id="a" * 1025),
        {"/aggregator_id": "invalid_value"},
    ),
    "aggregator a number": (notification(priority="BATCH", aggregator_id=7), {"/aggregator_id": "invalid_type"}),
    "two faults at once": (
        notification(type="PIGEON", subject=5),
        {"/channels/0/type": "invalid_value", "/channels/0/subject": "invalid_type"},
    ),
    "NUL in a field": (
        notification(fields={"sample_id": "a\x00b"}),
        {"/channels/0/fields/sample_id": "invalid_value"},
    ),
    "half a character in a field": (
        raw("S-1", "\\ud83d"),
        {"/channels/0/fields/sample_id": "invalid_value"},
    ),
    "half a character for a template": (
        raw("X_SAMPLE", "\\udc00"),
        {"/channels/0/template_id": "invalid_value"},
    ),
    "half a character for a name": (raw("sample_id", "\\ud800"), {"/channels/0/fields/\\ud800": "invalid_value"}),
    "integer too great": (raw('"S-1"', "9007199254740992"), {"/channels/0/fields/sample_id": "invalid_value"}),
    "integer of 5,000 digits": (raw('"S-1"', "9" * 5000), {"/channels/0/fields/sample_id": "invalid_value"}),
    "number beyond infinity": (raw('"S-1"', "1e999"), {"/channels/0/fields/sample_id": "invalid_value"}),
    "nested 70 deep": (deep(70), {"/channels/0/fields/sample_id" + "/0" * 60: "invalid_value"}),
    "nested 900 deep": (deep(900), {"/channels/0/fields/sample_id" + "/0" * 60: "invalid_value"}),
    "a name of 900,000 letters": (
        {"n" * 900_000: 1},
        {"/channels": "missing_member", "/" + "n" * 999: "unknown_member"},
    ),
}
MEANING: dict[str, tuple[object, str, dict[str, str]]] = {
    "unknown recipient": (
        notification(recipient=["X_LAB", "X_NOBODY"]),
        "unknown_recipient",
        {"/channels/0/recipient/1": "unknown_recipient"},
    ),
    "unknown recipient among recipients": (
        notification(recipient=..., recipients=["X_NOBODY"]),
        "unknown_recipient",
        {"/channels/0/recipients/0": "unknown_recipient"},
    ),
    "recipient in lower case": (
        notification(recipient=["x_lab"]),
        "unknown_recipient",
        {"/channels/0/recipient/0": "unknown_recipient"},
    ),
    "recipient that is a query": (
        notification(recipient=["' OR 1=1 --"]),
        "unknown_recipient",
        {"/channels/0/recipient/0": "unknown_recipient"},
    ),
    "recipient without the channel": (
        notification(type="SMS"),
        "no_address_for_channel",
        {"/channels/0/recipient/0": "no_address_for_channel"},
    ),
    "unknown template": (
        notification(template_id="X_NONE"),
        "unknown_template",
        {"/channels/0/template_id": "unknown_template"},
    ),
    "template that is a path": (
        notification(template_id="../../etc/passwd"),
        "unknown_template",
        {"/channels/0/template_id": "unknown_template"},
    ),
    "a field that is missing": (
        notification(fields={}),
        "template_arguments",
        {"/channels/0/fields": "template_arguments"},
    ),
    "no subject anywhere": (
        notification(subject=...),
        "missing_subject",
        {"/channels/0/subject": "missing_subject"},
    ),
    "two faults of meaning": (
        notification(recipient=["X_NOBODY"], template_id="X_NONE"),
        "invalid_notification",
        {"/channels/0/recipient/0": "unknown_recipient", "/channels/0/template_id": "unknown_template"},
    ),
    "the second channel alone": (
        notification(channels=[channel(), channel(template_id="X_NONE")]),
        "unknown_template",
        {"/channels/1/template_id": "unknown_template"},
    ),
}
IDENTIFIED = {name: (body, 400, REFUSED, faults) for name, (body, faults) in SCHEMA.items()} | {
    name: (body, 422, code, faults) for name, (body, code, faults) in MEANING.items()
}

# What is no well-formed JSON object: body, code, and words of the detail.
ANONYMOUS: dict[str, tuple[bytes, str, str]] = {
    "trailing comma": (b'{"channels": [],\n}', "malformed_json", "line 2, column 1"),
    "nothing": (b"", "malformed_json", "line 1, column 1"),
    "bare name": (b"{channels: []}", "malformed_json", "line 1, column 2"),
    "single quotes": (b"{'channels': []}", "malformed_json", "line 1, column 2"),
    "cut off": (b'{"channels": [', "malformed_json", "line 1, column 15"),
    "two objects": (b'{"channels": []} {}', "malformed_json", "line 1, column 18"),
    "comment": (b'{ // why\n"channels": []}', "malformed_json", "line 1, column 3"),
    "NaN": (b'{"channels": NaN}', "malformed_json", "line 1, column 14"),
    "control character": (b'{"channels": "\n"}', "malformed_json", "line 1, column 15"),
    "broken UTF-8": (b'{"channels": "\xc3"}', "malformed_json", "line 1, column 15"),
    "UTF-16": ('{"channels": []}'.encode("utf-16"), "malformed_json", "line 1, column 1"),
    "byte order mark": (b'\xef\xbb\xbf{"channels": []}', "malformed_json", "byte order mark"),
    "form data": (b"channels=EMAIL&priority=HIGH", "malformed_json", "line 1, column 1"),
    "XML": (b"<channels/>", "malformed_json", "line 1, column 1"),
    "nested 100,000 deep": (b'{"channels":' + b"[" * 100_000, "malformed_json", "64 levels"),
    "doubled member": (b'{"channels": [],\n "channels": []}', "duplicate_member", "line 2, column 2"),
    "a list": (b"[]", REFUSED, "object"),
    "a string": (b'"channels"', REFUSED, "object"),
    "a number": (b"1", REFUSED, "object"),
    "null": (b"null", REFUSED, "object"),
}


@pytest.mark.parametrize("case", IDENTIFIED)
def test_a_faulty_notification_is_explained_refused_and_read_back_as_failed(site: Site, case: str) -> None:
    body, status, code, faults = IDENTIFIED[case]
    explained = site.explain(body).json()
    assert (explained["would"], explained["channels"]) == ("FAIL", [])
    assert site.stored() == (0, 0)
    problem = is_problem(site.send(body), status, code)
    assert {error["pointer"]: error["code"] for error in problem["errors"]} == faults
    assert problem["notification_status"] == "FAILED"
    shown = site.show(problem["notification_id"])
    assert [fault.message for fault in REPORT.iter_errors(shown.json())] == []
    assert shown.status_code == 200, shown.text
    report = shown.json()
    assert (report["notification_id"], report["status"]) == (problem["notification_id"], "FAILED")
    assert report["problem"] == {"code": code, "detail": problem["detail"], "errors": problem["errors"]}
    assert [delivery for one in report["channels"] for to in one["recipients"] for delivery in to["deliveries"]] == []
    assert (explained["notification_id"], explained["errors"]) == (report["notification_id"], problem["errors"])
    assert site.stored() == (1, 0)


@pytest.mark.parametrize("case", ANONYMOUS)
def test_what_is_no_json_object_is_refused_with_its_place_and_read_back_as_failed(site: Site, case: str) -> None:
    body, code, words = ANONYMOUS[case]
    problem = is_problem(site.send(body), 400, code)
    assert words in problem["detail"]
    assert problem["errors"]
    assert problem["notification_status"] == "FAILED"
    report = site.show(problem["notification_id"]).json()
    assert (report["status"], report["problem"]["code"]) == ("FAILED", code)
    assert site.stored() == (1, 0)


@pytest.mark.parametrize("depth", [*range(930, 1000, 7), 64, 65, 1500])
def test_no_depth_of_nesting_breaks_sending_or_reading_back(site: Site, depth: int) -> None:
    answer = site.send(b'{"channels": [{"type": ' + b"[" * depth + b"]" * depth + b"}]}")
    problem = is_problem(answer, 400, answer.json()["code"])
    assert site.show(problem["notification_id"]).status_code == 200
    assert problem["code"] != "malformed_json" or depth > 900


def test_a_fault_in_a_template_names_its_line(site: Site) -> None:
    site.laboratory.template("X_LINES", "<p>\nfirst\n{{ sample_id }}\n{{ plate.row }}</p>")
    problem = is_problem(site.send(notification(template_id="X_LINES")), 422, "template_arguments")
    assert "Line 4: the field 'plate' is missing." in problem["errors"][0]["detail"]


def test_a_switched_off_service_is_refused_and_can_still_read(site: Site) -> None:
    site.switch_off()
    problem = is_problem(site.send(notification()), 422, "service_disabled")
    assert site.show(problem["notification_id"]).json()["status"] == "FAILED"


@pytest.mark.parametrize("chunked", [False, True], ids=["with Content-Length", "without Content-Length"])
@pytest.mark.parametrize("path", ["", "/explain"])
def test_one_byte_over_1_mib_is_refused_and_1_mib_is_not(site: Site, path: str, *, chunked: bool) -> None:
    def post(size: int) -> Any:
        whole = json.dumps(notification()).encode().ljust(size)
        content = iter([whole[: size // 2], whole[size // 2 :]]) if chunked else whole
        headers = {"Content-Type": "application/json"}
        return site.http.post(f"/notifications/v1{path}", content=content, headers=headers)

    assert post(MIB).status_code == (200 if path else 202)
    problem = is_problem(post(MIB + 1), 413, "too_large")
    assert "1 MiB" in problem["detail"]
    assert path or site.show(problem["notification_id"]).json()["problem"]["code"] == "too_large"
    assert site.stored() == ((0, 0) if path else (2, 1))


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/json", ""]
)
@pytest.mark.parametrize("path", ["", "/explain"])
def test_a_body_that_is_not_declared_as_json_is_refused(site: Site, path: str, media_type: str) -> None:
    body = json.dumps(notification()).encode()
    headers = {"Content-Type": media_type} if media_type else {}
    answer = site.http.post(f"/notifications/v1{path}", content=body, headers=headers)
    problem = is_problem(answer, 415, "unsupported_media_type")
    assert "application/json" in problem["detail"]
    assert path or site.show(problem["notification_id"]).json()["status"] == "FAILED"
    assert site.stored() == ((0, 0) if path else (1, 0))


@pytest.mark.parametrize("path", ["", "/bulk", "/explain"])
def test_a_body_that_is_compressed_is_refused(site: Site, path: str) -> None:
    body = gzip.compress(json.dumps(notification()).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = site.http.post(f"/notifications/v1{path}", content=body, headers=headers)
    assert "'gzip'" in is_problem(answer, 415, "unsupported_media_type")["detail"]
    assert answer.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON", " application/json "])
def test_json_may_be_declared_in_any_of_its_ways(site: Site, media_type: str) -> None:
    body = json.dumps(notification()).encode()
    assert site.send(body, **{"Content-Type": media_type}).status_code == 202
