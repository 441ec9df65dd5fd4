"""SMTP against a real server that misbehaves in each way we can provoke."""

import json
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from email import message_from_bytes, policy
from pathlib import Path

import msgspec
import pytest

from backend.channels.base import Channel, Outcome, ProviderError, Receipt, Scope
from backend.channels.email_smtp import SmtpConnection, SmtpProvider
from backend.channels.registry import providers_for
from backend.channels.smtp_handshake import Timeouts
from tests.channels.messages import message
from tests.smtp_server import SmtpServer


def refused(connection: SmtpConnection, **changes: str) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        connection.send(message(**changes))
    return caught.value


def test_the_mail_arrives_as_it_was_built() -> None:
    with SmtpServer() as server:
        connection = SmtpProvider(server.address).open()
        receipt = connection.send(message(text=".\n..\n.dot\nend", subject="Größe"))
        (mail,) = server.wait_for(1)
    assert receipt.detail == "250 2.0.0 OK: queued as 1"
    assert (mail.envelope_from, mail.envelope_to) == ("no-reply@carillon.example", "ann@lab.example")
    assert mail.parsed["Subject"] == "Größe"
    plain = mail.parsed.get_body(("plain",))
    assert plain is not None
    assert plain.get_content() == ".\r\n..\r\n.dot\r\nend"


def test_a_message_of_one_part_ends_where_it_ends() -> None:
    with SmtpServer() as server:
        connection = SmtpProvider(server.address).open()
        connection.send(message(text="no line end", html=None))
        connection.send(message(text=".\n", html=None))
        first, second = server.wait_for(2)
    assert first.parsed.get_content() == "no line end\r\n"
    assert second.parsed.get_content() == ".\r\n"


def test_many_messages_share_one_connection() -> None:
    with SmtpServer() as server:
        connection = SmtpProvider(server.address).open()
        for number in range(20):
            connection.send(message(address=f"r{number}@lab.example"))
        assert [mail.envelope_to for mail in server.messages] == [f"r{n}@lab.example" for n in range(20)]
        assert server.connections == 1
        assert server.resets == 0


@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
def test_signing_in_works_with_each_kind_of_security(tls: str) -> None:
    with SmtpServer(tls=tls, credentials=("mary@lab", "p:a/ss %?#")) as server:
        connection = SmtpProvider(server.address).open()
        connection.send(message())
        assert len(server.wait_for(1)) == 1


@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
def test_wrong_credentials_are_a_fault_of_the_set_up_and_stay_secret(tls: str) -> None:
    with SmtpServer(tls=tls, credentials=("mary", "right")) as server:
        provider = SmtpProvider(server.address.replace("right", "hunter2"))
        fault = refused(provider.open())
    assert (fault.outcome, fault.route_down, fault.code) == (Outcome.CONFIG, True, "5.7.8")
    assert "hunter2" not in "".join(traceback.format_exception(fault))


def test_missing_credentials_are_a_fault_of_the_set_up() -> None:
    with SmtpServer(credentials=("mary", "right")) as server:
        fault = refused(SmtpProvider(f"smtp://{server.host}:{server.port}").open())
    assert (fault.outcome, fault.route_down) == (Outcome.CONFIG, True)
    assert fault.detail.startswith("530 5.7.0")


def test_a_server_without_sign_in_is_a_fault_of_the_set_up() -> None:
    with SmtpServer() as server:
        fault = refused(SmtpProvider(f"smtp://u:p@{server.host}:{server.port}").open())
    assert (fault.outcome, fault.route_down) == (Outcome.CONFIG, True)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_that_nobody_vouches_for_is_refused(tls: str) -> None:
    with SmtpServer(tls=tls) as server:
        fault = refused(SmtpProvider(f"smtp://{server.host}:{server.port}?tls={tls}").open())
        assert server.messages == []
    assert (fault.outcome, fault.route_down) == (Outcome.CONFIG, True)
    assert "certificate" in fault.detail


def test_a_certificate_for_another_host_is_refused() -> None:
    with SmtpServer(tls="tls", names=("mail.example",)) as server:
        fault = refused(SmtpProvider(server.address).open())
    assert (fault.outcome, fault.route_down) == (Outcome.CONFIG, True)
    assert "certificate" in fault.detail


@pytest.mark.parametrize(("wanted", "said"), [("starttls", "STARTTLS"), ("tls", "TLS")])
def test_tls_is_never_given_up_for_clear_text(wanted: str, said: str) -> None:
    with SmtpServer() as server:
        fault = refused(SmtpProvider(f"smtp://{server.host}:{server.port}?tls={wanted}").open())
        assert server.messages == []
    assert (fault.outcome, fault.route_down) == (Outcome.CONFIG, True)
    assert said in fault.detail


def test_an_unreachable_server_takes_the_route_down() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        fault = refused(SmtpProvider(f"smtp://127.0.0.1:{reserved.getsockname()[1]}").open())
    assert (fault.outcome, fault.route_down) == (Outcome.RETRY, True)
    assert "Connection refused" in fault.detail


@pytest.mark.parametrize(
    ("greeting", "outcome"),
    [
        ("421 4.3.2 too busy", Outcome.RETRY),
        ("554 5.3.2 no service", Outcome.CONFIG),
        ("450 later", Outcome.RETRY),
        ("HTTP/1.1 400 Bad Request", Outcome.RETRY),
    ],
)
def test_an_unfriendly_greeting_takes_the_route_down(greeting: str, outcome: Outcome) -> None:
    with SmtpServer() as server:
        server.script.greeting = greeting
        fault = refused(SmtpProvider(server.address).open())
    assert (fault.outcome, fault.route_down) == (outcome, True)


def test_greylisting_is_over_after_the_second_attempt() -> None:
    with SmtpServer() as server:
        server.script.greylist["ann@lab.example"] = 2
        connection = SmtpProvider(server.address).open()
        assert refused(connection).detail == "451 4.7.1 greylisted, come back later"
        assert refused(connection).scope is Scope.RECIPIENT
        assert connection.send(message(address="bob@lab.example")).detail.startswith("250")
        assert connection.send(message()).detail.startswith("250")
        assert server.resets == 2
        assert server.connections == 1


@pytest.mark.parametrize(
    ("reply", "outcome", "down"),
    [
        ("550 5.1.1 no such user", Outcome.PERMANENT, False),
        ("454 Throttling failure: Daily message quota exceeded", Outcome.THROTTLED, True),
        ("421 4.7.0 going away", Outcome.RETRY, True),
        ("nonsense", Outcome.RETRY, True),
    ],
)
def test_a_recipient_can_be_refused_in_many_ways(reply: str, outcome: Outcome, down: bool) -> None:
    with SmtpServer() as server:
        server.script.replies["bob@lab.example"] = reply
        connection = SmtpProvider(server.address).open()
        fault = refused(connection, address="bob@lab.example")
        assert (fault.outcome, fault.route_down) == (outcome, down)
        assert connection.send(message()).detail.startswith("250")


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("554 5.7.1 looks like spam", Outcome.PERMANENT),
        ("451 4.3.0 try later", Outcome.RETRY),
        ("454 Throttling failure: Maximum sending rate exceeded", Outcome.THROTTLED),
        ("421 4.3.2 going away", Outcome.RETRY),
        ("nonsense", Outcome.AMBIGUOUS),
    ],
)
def test_the_content_can_be_refused_in_many_ways(reply: str, outcome: Outcome) -> None:
    with SmtpServer() as server:
        server.script.on_content = reply
        connection = SmtpProvider(server.address).open()
        assert refused(connection).outcome is outcome
        server.script.on_content = None
        assert connection.send(message()).detail.startswith("250")


def test_a_refused_sender_is_a_fault_of_the_set_up() -> None:
    with SmtpServer() as server:
        server.script.on_mail = "550 5.7.1 sender address not allowed"
        fault = refused(SmtpProvider(server.address).open())
    assert (fault.outcome, fault.scope) == (Outcome.CONFIG, Scope.SENDER)


def test_a_connection_closed_while_idle_is_renewed_silently() -> None:
    with SmtpServer() as server:
        connection = SmtpProvider(server.address).open()
        connection.send(message())
        server.drop_connections()
        assert connection.send(message()).detail.startswith("250")
        assert server.connections == 2
        assert len(server.messages) == 2


@pytest.mark.parametrize("reply", ["421 4.4.2 idle for too long", "421 4.7.0 enough for one connection"])
def test_a_421_before_any_content_is_answered_by_one_new_connection(reply: str) -> None:
    with SmtpServer() as server:
        connection = SmtpProvider(server.address).open()
        connection.send(message())
        server.script.on_mail = reply
        fault = refused(connection)
        assert (fault.outcome, fault.route_down) == (Outcome.RETRY, True)
        assert server.connections == 2


@pytest.mark.parametrize(
    "reply",
    ["452 4.5.3 Too many messages sent", "451 4.7.0 message limit for this session", "450 later", "421 4.7.0 enough"],
)
@pytest.mark.parametrize("at_once", [False, True])
def test_a_limit_of_the_session_is_answered_by_a_new_one(reply: str, at_once: bool) -> None:
    with SmtpServer() as server:
        server.script.per_session, server.script.no_more = 10, reply
        connection = SmtpProvider(server.address).open()
        for number in range(0, 104, 8):
            some = [message(address=f"r{number + one}@lab.example") for one in range(8)]
            done = list(connection.send_all(some)) if at_once else [connection.send(one) for one in some]
            assert all(isinstance(one, Receipt) for one in done if one is not None), done
        connection.close()
        assert sorted(mail.envelope_to for mail in server.messages) == sorted(f"r{n}@lab.example" for n in range(104))
        assert server.connections <= 16


def test_what_a_new_session_refuses_too_is_the_messages() -> None:
    with SmtpServer() as server:
        connection = SmtpProvider(server.address).open()
        connection.send(message())
        server.script.on_mail = "451 4.3.0 queue file"
        fault = refused(connection)
        assert (fault.outcome, fault.route_down, fault.detail) == (
            Outcome.RETRY,
            False,
            "451 4.3.0 queue file",
        )
        assert server.connections == 2


@pytest.mark.parametrize(
    "notice", ["421 4.4.2 idle for too long", "451 4.3.0 restarting", "500 5.5.1 what", "554 5.3.2 going down"]
)
def test_a_notice_on_an_idle_session_is_no_answer_to_the_next_message(notice: str) -> None:
    with SmtpServer() as server:
        connection = SmtpProvider(server.address).open()
        connection.send(message())
        server.say(notice)
        assert connection.send(message()).detail.startswith("250")
        assert server.connections == 2
        assert len(server.messages) == 2


@pytest.mark.parametrize(
    "reply",
    ["454 Throttling failure: Maximum sending rate exceeded", "450 4.7.1 Error: too much mail", "452 4.3.1 disk full"],
)
def test_a_limit_that_a_new_session_has_too_opens_none(reply: str) -> None:
    with SmtpServer() as server:
        connection = SmtpProvider(server.address).open()
        connection.send(message())
        server.script.on_content = reply
        assert refused(connection).outcome is Outcome.THROTTLED
        assert server.connections == 1


def test_a_server_without_ehlo_is_greeted_as_it_knows() -> None:
    with SmtpServer() as server:
        server.script.helo_only = True
        assert SmtpProvider(server.address).open().send(message()).detail.startswith("250")


@pytest.mark.parametrize("position", ["mail", "rcpt"])
def test_a_connection_lost_in_the_envelope_is_renewed_once(position: str) -> None:
    with SmtpServer() as server:
        connection = SmtpProvider(server.address).open()
        connection.send(message())
        server.script.drop, server.script.drop_times = position, 1
        assert connection.send(message()).detail.startswith("250")
        server.script.drop_times = None
        assert refused(connection).outcome is Outcome.RETRY
        assert server.connections == 3


def test_a_connection_lost_in_the_middle_of_the_content_is_tried_again_later() -> None:
    with SmtpServer() as server:
        server.script.drop = "data"
        # More than the sockets' buffers hold, so that the loss shows before the final dot is written.
        fault = refused(SmtpProvider(server.address).open(), text="x" * 60 + "\n" + "line\n" * 4_000_000)
        assert server.messages == []
    assert fault.outcome is Outcome.RETRY
    assert not fault.route_down


def test_a_connection_lost_after_the_final_dot_is_ambiguous_and_not_renewed() -> None:
    with SmtpServer() as server:
        connection = SmtpProvider(server.address).open()
        connection.send(message())
        server.script.drop = "final"
        fault = refused(connection)
        assert (fault.outcome, fault.route_down) == (Outcome.AMBIGUOUS, False)
        server.script.drop = None
        assert connection.send(message()).detail.startswith("250")
        assert len(server.messages) == 3


@pytest.mark.parametrize(
    ("position", "waits", "outcome"),
    [
        ("greeting", Timeouts(greeting=0.2), Outcome.RETRY),
        ("mail", Timeouts(exchange=0.3), Outcome.RETRY),
        ("rcpt", Timeouts(exchange=0.3), Outcome.RETRY),
        ("final", Timeouts(final=0.2), Outcome.AMBIGUOUS),
    ],
)
def test_a_hung_server_is_given_up_in_time(position: str, waits: Timeouts, outcome: Outcome) -> None:
    with SmtpServer() as server:
        server.script.hang = position
        fault = refused(SmtpProvider(server.address, waits).open())
    assert (fault.outcome, fault.route_down) == (outcome, True)
    assert "no answer in time" in fault.detail


def test_a_server_that_hangs_on_a_used_connection_is_not_tried_twice() -> None:
    with SmtpServer() as server:
        connection = SmtpProvider(server.address).open()
        connection.send(message())
        connection._server = msgspec.structs.replace(connection._server, timeouts=Timeouts(exchange=0.2))
        server.script.hang = "mail"
        assert refused(connection).outcome is Outcome.RETRY
        assert server.connections == 1


def test_a_message_over_the_advertised_size_is_not_even_begun() -> None:
    with SmtpServer(size=2000) as server:
        connection = SmtpProvider(server.address).open()
        fault = refused(connection, text="x\n" * 2000)
        assert (fault.outcome, fault.code) == (Outcome.PERMANENT, "5.3.4")
        assert "2000" in fault.detail
        assert connection.send(message()).detail.startswith("250")


@pytest.mark.parametrize("utf8", [True, False])
def test_an_address_beyond_ascii_needs_a_server_that_takes_it(utf8: bool) -> None:
    with SmtpServer(utf8=utf8) as server:
        connection = SmtpProvider(server.address).open()
        if utf8:
            connection.send(message(address="jörg@lab.example"))
            connection.send(message())
            assert [mail.envelope_to for mail in server.messages] == ["jörg@lab.example", "ann@lab.example"]
        else:
            assert refused(connection, address="jörg@lab.example").outcome is Outcome.PERMANENT


def test_the_server_runs_as_a_process_that_keeps_each_mail_as_a_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.smtp_server", "--port", "0", "--maildir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            connection = SmtpProvider(json.loads(process.stdout.readline())["address"]).open()
            connection.send(message())
            (kept,) = tmp_path.glob("*.eml")
            connection.close()
        finally:
            process.terminate()
    mail = message_from_bytes(kept.read_bytes(), policy=policy.default)
    assert (mail["X-Envelope-To"], mail["Subject"]) == ("ann@lab.example", "Your run has finished")


def test_the_default_waits_are_bounded_before_the_final_dot_and_long_after_it() -> None:
    waits = Timeouts()
    assert waits.connect + waits.exchange <= 75
    assert waits.greeting == 300
    assert waits.final == 600


@pytest.mark.parametrize("make", [repr, str, lambda provider: repr(provider.open())])
def test_no_representation_tells_the_password(make: Callable[[object], str]) -> None:
    (provider,) = providers_for(Channel.EMAIL, ["smtp://mary:hunter2@mail.example:587"])
    assert "hunter2" not in make(provider)
