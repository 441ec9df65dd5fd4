"""The real Apprise library in its child process: what reaches a service, and what its guard refuses."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.channels import addresses, apprise_address
from backend.channels.apprise_service import AppriseServices
from backend.channels.base import Channel, Outcome, ProviderError, Receipt
from backend.lib.problems import Problem
from backend.lib.settings import Settings
from tests.channels.messages import message
from tests.vendors.http_server import Fault, Reply
from tests.vendors.slack import Webhook

SECRET = "hunter2secret"


@pytest.fixture
def service(configure: Callable[..., Settings]) -> Iterator[Webhook]:
    with Webhook(Reply(200, b"ok")) as server:
        configure(OUTBOUND_ALLOW=server.host_port)
        yield server


def send(service: Webhook, address: str = "", timeout: float = 20.0, **changes: Any) -> Receipt:
    address = address or f"json://{service.host_port}/{SECRET}"
    return AppriseServices(timeout).open().send(message(channel=Channel.APPRISE, address=address, **changes))


def test_a_message_reaches_a_service(service: Webhook) -> None:
    receipt = send(service)
    assert receipt.detail == "taken by JSON"
    (seen,) = service.seen
    assert seen.path == f"/{SECRET}"
    body = seen.json()
    assert body["title"] == "Your run has finished"
    assert "DN123" in body["message"]


@pytest.mark.parametrize(
    ("address", "html", "said"),
    [
        ("json://{}/?format=text", "<p>plate <b>DN123</b></p>", "Hello Ann,\n\nplate DN123 is ready."),
        ("json://{}/?format=html", "<p>plate <b>DN123</b></p>", "<p>plate <b>DN123</b></p>"),
        ("json://{}/?format=markdown", "<p>plate <b>DN123</b></p>", "plate **DN123**"),
        ("json://{}/?format=text", None, "Hello Ann,\n\nplate DN123 is ready."),
    ],
)
def test_each_service_gets_the_form_that_it_takes(service: Webhook, address: str, html: str | None, said: str) -> None:
    send(service, address.format(service.host_port), html=html)
    assert service.seen[0].json()["message"].strip() == said


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_a_refusal_is_tried_again_with_what_the_library_says(service: Webhook, status: int) -> None:
    service.reply = Reply(status, f"no {SECRET}".encode())
    with pytest.raises(ProviderError) as caught:
        send(service)
    assert caught.value.outcome is Outcome.RETRY
    assert str(status) in caught.value.detail
    assert SECRET not in caught.value.detail


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [("hang", Outcome.AMBIGUOUS), ("trickle", Outcome.AMBIGUOUS), ("garbage", Outcome.RETRY), ("close", Outcome.RETRY)],
)
def test_a_service_that_misbehaves_takes_bounded_time(service: Webhook, fault: Fault, outcome: Outcome) -> None:
    send(service)  # the process is there, so that its start does not count
    service.fault = fault
    began = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        send(service, timeout=3.0)
    assert caught.value.outcome is outcome
    assert time.monotonic() - began < 10
    service.fault = None
    assert send(service).detail


def test_a_flood_does_no_harm(service: Webhook) -> None:
    service.fault = "flood"
    assert send(service).detail == "taken by JSON"


@pytest.mark.parametrize(
    "address",
    [
        "json://{}/",
        "json://localhost:{port}/",
        "form://2130706433:{port}/",
        "jsons://[::1]:{port}/",
        "mailto://u:p@mail.example?smtp=127.0.0.1&port={port}",
        "rsyslog://127.0.0.1:{port}",
        "json://169.254.169.254/latest",
    ],
)
def test_a_private_place_is_never_reached(service: Webhook, configure: Callable[..., Settings], address: str) -> None:
    configure(OUTBOUND_ALLOW="")
    with pytest.raises(ProviderError) as caught:
        send(service, address.format(service.host_port, port=service.port))
    assert caught.value.outcome is Outcome.PERMANENT
    assert "not an address of the public internet" in caught.value.detail
    assert not service.seen


def test_a_redirection_is_not_followed(service: Webhook) -> None:
    service.reply = Reply(302, b"", {"Location": f"http://{service.host_port}/elsewhere"})
    with pytest.raises(ProviderError):
        send(service)
    assert len(service.seen) == 1


def test_no_file_of_this_machine_is_read(service: Webhook, tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    key.write_text('{"type": "service_account"}')
    with pytest.raises(ProviderError) as caught:
        send(service, f"fcm://project/device?keyfile={key}")
    assert caught.value.outcome is Outcome.PERMANENT
    assert "file of this machine" in caught.value.detail


@pytest.mark.parametrize(
    ("address", "canonical", "shown"),
    [
        ("Discord://1234567890/abcdefghijklmnop", "discord://1234567890/abcdefghijklmnop", "discord://…mnop"),
        (" ntfys://u:hunter2@ntfy.example/topic", "ntfys://u:hunter2@ntfy.example/topic", "ntfys://…opic"),
        ("jsons://u:hunter2@h.example/path/abcd", "jsons://u:hunter2@h.example/path/abcd", "jsons://h.example/…abcd"),
        ("mailto://u:p@x.example", "mailto://u:p@x.example", "mailto://…"),
    ],
)
def test_an_address_is_checked_by_the_library_and_shown_by_its_ends(address: str, canonical: str, shown: str) -> None:
    assert addresses.normalise(Channel.APPRISE, address) == canonical
    assert addresses.masked("APPRISE", canonical) == shown


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("discord", "scheme"),
        ("discord://a b", "without spaces"),
        ("nonsense://a/hunter2", "does not know"),
        ("discord://hunter2", "does not know"),
        ("syslog://local0", "stays on the machine"),
        ("dbus://x", "stays on the machine"),
        ("WINDOWS://x", "stays on the machine"),
        ("json://127.0.0.1:9/x", "private"),
        ("json://localhost/x", "private"),
        ("jsons://10.0.0.1/x", "private"),
        ("jsons://[fe80::1]/x", "private"),
    ],
)
def test_an_address_that_is_none_or_leads_inside_is_refused(address: str, said: str) -> None:
    with pytest.raises(Problem) as caught:
        addresses.normalise(Channel.APPRISE, address)
    assert caught.value.code == "invalid_address"
    assert said in caught.value.detail
    assert "hunter2" not in caught.value.detail


def test_a_listed_place_may_be_private() -> None:
    url = "json://127.0.0.1:9099/x"
    assert addresses.normalise(Channel.APPRISE, url, ["127.0.0.1:9099"]) == url
    assert apprise_address.normalise("json://[::1]:9099/x", ["[::1]:9099"]) == "json://[::1]:9099/x"
    with pytest.raises(Problem):
        addresses.normalise(Channel.APPRISE, url, ["127.0.0.1:9098"])
