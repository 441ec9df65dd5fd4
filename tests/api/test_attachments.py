"""Bodies with files: how large they may be, at each address that takes notifications."""

import json
from base64 import b64encode
from typing import Any

import pytest

from backend.api import large_bodies
from backend.api.large_bodies import MemoryBudget
from backend.channels.attachments import MAX_BYTES
from tests.api.conftest import Site, is_problem
from tests.attachments import PDF, PNG, attachment
from tests.factories import notification

MIB = 1024 * 1024
JSON = {"Content-Type": "application/json"}
BULK = "/notifications/v1/bulk"


def pdf(size: int) -> dict[str, Any]:
    return attachment(content=b"%PDF-" + bytes(size - 5))


def body(size: int) -> bytes:
    return json.dumps(notification(attachments=[pdf(size)])).encode()


@pytest.mark.parametrize("chunked", [False, True], ids=["with Content-Length", "without Content-Length"])
@pytest.mark.parametrize("path", ["", "/explain"])
def test_ten_mebibytes_of_files_pass_and_one_byte_more_does_not(site: Site, path: str, *, chunked: bool) -> None:
    def post(size: int) -> Any:
        whole = body(size)
        content = iter([whole[: size // 2], whole[size // 2 :]]) if chunked else whole
        return site.http.post(f"/notifications/v1{path}", content=content, headers=JSON)

    assert post(MAX_BYTES).status_code == (200 if path else 202)
    problem = is_problem(post(MAX_BYTES + 1), 413, "too_large")
    assert "10 MiB" in problem["detail"]
    assert is_problem(post(2 * MAX_BYTES), 413, "too_large")


def test_all_beside_the_files_is_as_small_as_ever(site: Site) -> None:
    def post(filler: int) -> Any:
        return site.http.post("/notifications/v1", content=body(2 * MIB) + b" " * filler, headers=JSON)

    assert post(MIB - 1000).status_code == 202
    problem = is_problem(post(MIB), 413, "too_large")
    assert "1 MiB" in problem["detail"]
    assert site.show(problem["notification_id"]).json()["problem"]["code"] == "too_large"
    large = json.dumps(notification(note='"attachments"' + "x" * MIB)).encode()
    is_problem(site.http.post("/notifications/v1", content=large, headers=JSON), 413, "too_large")


@pytest.mark.parametrize("content", ["[{},{},{}]", "{}", "12"])
def test_what_is_no_text_is_no_file_that_may_be_large(site: Site, content: str) -> None:
    filled = content.replace("{}", '{"a":"' + "b" * MIB + '"}').replace("12", "1" * MIB + "2")
    whole = json.dumps(notification(attachments=[attachment(content="@")])).replace('"@"', filled)
    assert len(whole) > MIB
    is_problem(site.http.post("/notifications/v1", content=whole.encode(), headers=JSON), 413, "too_large")


def test_malformed_json_is_read_on_for_its_fault_only_where_files_may_be_why_it_is_large(site: Site) -> None:
    broken = b'{"attachments": [' + b"{}," * 500_000
    is_problem(site.http.post("/notifications/v1", content=broken, headers=JSON), 413, "too_large")


def test_malformed_json_with_files_is_told_as_such(site: Site) -> None:
    broken = body(2 * MIB)[:-1] + b",}"
    problem = is_problem(site.http.post("/notifications/v1", content=broken, headers=JSON), 400, "malformed_json")
    assert "comma" in problem["detail"]


def test_several_notifications_with_files_go_in_one_body(site: Site) -> None:
    several = [notification(str(number), attachments=[pdf(3 * MIB)]) for number in range(3)]
    answer = site.http.post(BULK, content=json.dumps({"notifications": several}).encode(), headers=JSON)
    assert [one["status"] for one in answer.json()["results"]] == [202] * 3
    filled = json.dumps({"notifications": several}).encode() + b" " * MIB
    is_problem(site.http.post(BULK, content=filled, headers=JSON), 413, "too_large")


def test_base64_with_escaped_slashes_counts_as_the_file_it_is(site: Site) -> None:
    content = b64encode(b"%PDF-" + b"\xff" * (5 * MIB)).decode()
    raw = json.dumps(notification(attachments=[attachment(content=content)])).encode().replace(b"/", b"\\/")
    assert site.http.post("/notifications/v1", content=raw, headers=JSON).status_code == 202


def test_few_large_bodies_are_in_memory_at_a_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_bodies, "memory", MemoryBudget(6 * MIB))
    for _ in range(2):  # what one has taken up is given back
        assert site.http.post("/notifications/v1", content=body(2 * MIB), headers=JSON).status_code in {200, 202}
        answer = site.http.post("/notifications/v1", content=body(4 * MIB), headers=JSON)
        is_problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "5"
    assert site.http.post("/notifications/v1", json=notification("small")).status_code == 202


def test_the_status_and_an_explanation_tell_the_files(site: Site) -> None:
    given = notification(attachments=[attachment("Über die Probe.pdf"), attachment("logo.png", PNG, inline=True)])
    told = [
        {"name": "Über die Probe.pdf", "type": "application/pdf", "size": len(PDF), "inline": False},
        {"name": "logo.png", "type": "image/png", "size": len(PNG), "inline": True},
    ]
    (explained,) = site.explain(given).json()["channels"]
    (shown,) = site.show(site.send(given).json()["notification_id"]).json()["channels"]
    for channel in (explained, shown):
        assert [{name: one[name] for name in told[0]} for one in channel["attachments"]] == told
    (plain,) = site.show(site.send(notification("other")).json()["notification_id"]).json()["channels"]
    assert "attachments" not in plain


def test_an_explanation_says_when_a_batch_could_carry_no_more(site: Site) -> None:
    site.laboratory.template("X_LIST", "{% for field in fields %}{{ field.sample_id }}{% endfor %}")
    batch = {"priority": "BATCH", "aggregator_id": "run-1", "template_id": "X_LIST"}
    site.send(notification("first", attachments=[pdf(6 * MIB)], **batch))
    fits, does_not = (notification("next", attachments=[pdf(size * MIB)], **batch) for size in (4, 5))
    assert site.explain(fits).json()["batch"]["members"] == 2
    assert site.explain(does_not).json()["batch"]["members"] == 1


@pytest.mark.parametrize("path", ["/notifications/v1", "/notifications/v1/explain"])
def test_a_faulty_file_is_told_with_its_place(site: Site, path: str) -> None:
    answer = site.post(path, notification(attachments=[attachment("setup.exe")]))
    if path.endswith("explain"):
        assert (answer.json()["would"], answer.json()["errors"][0]["code"]) == ("FAIL", "invalid_attachment")
    else:
        problem = is_problem(answer, 422, "invalid_attachment")
        assert problem["errors"][0]["pointer"] == "/channels/0/attachments/0"
