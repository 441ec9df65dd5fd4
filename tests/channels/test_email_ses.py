"""Amazon SES: signed requests against a server that works the signature out anew, and its codes."""

from collections.abc import Callable, Iterator

import pytest

from backend.channels.attachments import Attachment
from backend.channels.base import Outcome, ProviderError
from backend.channels.email_ses import SesProvider
from backend.lib.settings import Settings
from tests.attachments import PDF
from tests.channels.messages import DELIVERY_ID, message
from tests.vendors.http_server import Reply
from tests.vendors.ses import KEY_ID, REGION, SECRET, SesServer

MAIL = message(subject="Überraschung", reply_to="Lab desk <desk@lab.example>")


@pytest.fixture(autouse=True)
def settings(configure: Callable[..., Settings]) -> Settings:
    return configure(BASE_URL="https://carillon.example")


@pytest.fixture
def server() -> Iterator[SesServer]:
    with SesServer() as made:
        yield made


def test_a_request_is_signed_and_has_the_documented_members(server: SesServer) -> None:
    receipt = SesProvider(f"{server.address}&configuration_set=watched").open().send(MAIL)
    (taken,) = server.taken
    assert taken.from_email_address == "no-reply@carillon.example"
    assert taken.destination.to_addresses == ["ann@lab.example"]
    assert taken.reply_to_addresses == ["desk@lab.example"]
    assert [(tag.name, tag.value) for tag in taken.email_tags] == [("delivery_id", DELIVERY_ID)]
    assert taken.configuration_set_name == "watched"
    mail = taken.mail
    assert (mail["Subject"], mail["From"]) == ("Überraschung", "Carillon <no-reply@carillon.example>")
    assert (mail["Message-ID"], mail["Reply-To"]) == (f"<{MAIL.message_id}>", "Lab desk <desk@lab.example>")
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert receipt.provider_message_id == "0100ses-1-000000"


def test_files_are_in_the_mail_that_is_sent_as_it_is(server: SesServer) -> None:
    report = Attachment(name="Über die Probe.pdf", type="application/pdf", content=PDF)
    SesProvider(server.address).open().send(message(attachments=(report,)))
    (taken,) = server.taken
    (attached,) = taken.mail.iter_attachments()
    assert (attached.get_filename(), attached.get_payload(decode=True)) == ("Über die Probe.pdf", PDF)


def test_a_wrong_secret_is_a_fault_of_the_settings(server: SesServer) -> None:
    address = f"ses://{KEY_ID}:another@{REGION}?scheme=http&endpoint={server.http.host_port}"
    with pytest.raises(ProviderError) as caught:
        SesProvider(address).open().send(MAIL)
    assert (caught.value.outcome, caught.value.code) == (Outcome.CONFIG, "InvalidSignatureException")
    assert caught.value.route_down


def test_a_loopback_host_stands_in_place_of_the_region(server: SesServer) -> None:
    address = f"ses://{KEY_ID}:hunter2%2F%3A%40%20%25@{server.http.host_port}?scheme=http&region={REGION}"
    assert SesProvider(address).open().send(MAIL).provider_message_id


@pytest.mark.parametrize(
    ("status", "code", "outcome", "down"),
    [
        (429, "TooManyRequestsException", Outcome.THROTTLED, True),
        (400, "ThrottlingException", Outcome.THROTTLED, True),
        (400, "LimitExceededException", Outcome.THROTTLED, True),
        (400, "AccountSuspendedException", Outcome.CONFIG, True),
        (400, "SendingPausedException", Outcome.CONFIG, True),
        (400, "MailFromDomainNotVerifiedException", Outcome.CONFIG, True),
        (404, "NotFoundException", Outcome.CONFIG, True),
        (403, "AccessDeniedException", Outcome.CONFIG, True),
        (400, "MessageRejected", Outcome.PERMANENT, False),
        (400, "BadRequestException", Outcome.PERMANENT, False),
        (500, "InternalFailure", Outcome.RETRY, True),
        (503, "ServiceUnavailable", Outcome.RETRY, True),
    ],
)
def test_a_code_decides_what_to_do(server: SesServer, status: int, code: str, outcome: Outcome, down: bool) -> None:
    server.scripted[MAIL.address] = [server.error(status, code, f"words and {SECRET}")]
    with pytest.raises(ProviderError) as caught:
        SesProvider(server.address).open().send(MAIL)
    error = caught.value
    assert (error.outcome, error.route_down, error.code) == (outcome, down, code)
    assert error.detail == f"the provider answered {status} {code} words and ***"
    assert len(server.http.seen) == 1


@pytest.mark.parametrize(
    ("reply", "pause"),
    [
        (Reply(400, {"__type": "com.amazon#ThrottlingException", "message": "Daily message quota exceeded."}), 600),
        (Reply(400, {"__type": "ThrottlingException", "Message": "Maximum sending rate exceeded."}), None),
        (Reply(429, {"message": "Too many"}, {"Retry-After": "3"}), 3),
    ],
)
def test_a_throttled_request_waits_as_long_as_it_has_to(server: SesServer, reply: Reply, pause: float | None) -> None:
    server.scripted[MAIL.address] = [reply]
    with pytest.raises(ProviderError) as caught:
        SesProvider(server.address).open().send(MAIL)
    assert (caught.value.outcome, caught.value.retry_after) == (Outcome.THROTTLED, pause)


def test_a_missing_configuration_set_is_a_fault_of_the_settings(server: SesServer) -> None:
    with pytest.raises(ProviderError) as caught:
        SesProvider(f"{server.address}&configuration_set=other").open().send(MAIL)
    assert (caught.value.outcome, caught.value.code) == (Outcome.CONFIG, "NotFoundException")
