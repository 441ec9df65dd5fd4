"""Several messages at once over as many sessions: each with its own fate, no more of them than it likes."""

import time
from collections.abc import Sequence

import pytest

from backend.channels.base import Bursting, Message, Outcome, ProviderError, Receipt
from backend.channels.email_smtp import SmtpConnection, SmtpProvider
from backend.channels.smtp_handshake import Timeouts
from tests.channels.messages import message
from tests.smtp_server import SmtpServer


def some(count: int) -> list[Message]:
    return [message(address=f"reader-{number}@lab.example") for number in range(count)]


def outcomes(connection: SmtpConnection, messages: Sequence[Message]) -> list[str]:
    told = [one for one in connection.send_all(messages) if one is not None]
    return ["accepted" if isinstance(one, Receipt) else one.outcome.value for one in told]


@pytest.mark.parametrize("tls", ["none", "tls"])
def test_each_message_has_a_session_and_the_sessions_stay(tls: str) -> None:
    with SmtpServer(tls=tls) as server:
        connection = SmtpProvider(server.address).open()
        assert isinstance(connection, Bursting)
        for _ in range(3):
            assert outcomes(connection, some(4)) == ["accepted"] * 4
        assert len(server.wait_for(12)) == 12
        assert server.connections == 4
        connection.send(message())
        assert server.connections == 4
        connection.close()


def test_a_refusal_is_of_one_message_alone() -> None:
    with SmtpServer() as server:
        server.script.replies["reader-1@lab.example"] = "550 5.1.1 no such user"
        server.script.replies["reader-2@lab.example"] = "451 4.7.1 greylisted"
        connection = SmtpProvider(server.address).open()
        messages = [*some(3), message(address="not an address")]
        assert outcomes(connection, messages) == ["accepted", "permanent", "throttled", "permanent"]
        faults = [one for one in connection.send_all(some(3)) if isinstance(one, ProviderError)]
        assert [fault.bad_address for fault in faults] == [True, False]
        assert {mail.envelope_to for mail in server.wait_for(2)} == {"reader-0@lab.example"}
        assert outcomes(connection, some(1)) == ["accepted"], "and the sessions are ready for the next"


def test_where_no_session_can_be_opened_one_message_says_so_for_all() -> None:
    with SmtpServer() as server:
        server.script.greeting = "421 4.3.2 closing down"
        connection = SmtpProvider(server.address).open()
        assert outcomes(connection, some(4)) == ["retry"]
        assert server.connections == 1
        server.script.greeting = None
        assert outcomes(connection, some(4)) == ["accepted"] * 4


def test_a_server_that_takes_one_session_gets_one_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpServer() as server:
        connection = SmtpProvider(server.address).open()
        connection.send(message())
        server.script.greeting = "421 4.7.0 too many connections"
        assert outcomes(connection, some(4)) == ["accepted"], "the others were not begun"
        assert connection.burst == 1
        assert outcomes(connection, some(1)) == ["accepted"]
        assert len(server.wait_for(3)) == 3
        later = time.monotonic() + 60
        monkeypatch.setattr("backend.channels.email_smtp.monotonic", lambda: later)
        assert connection.burst == 8


def test_sessions_that_were_closed_while_idle_are_renewed() -> None:
    with SmtpServer() as server:
        connection = SmtpProvider(server.address).open()
        assert outcomes(connection, some(4)) == ["accepted"] * 4
        server.drop_connections()
        assert outcomes(connection, some(4)) == ["accepted"] * 4
        assert len(server.wait_for(8)) == 8


def test_a_long_wait_is_told_before_it_begins() -> None:
    with SmtpServer() as server:
        server.script.hang = "final"
        connection = SmtpProvider(server.address, Timeouts(final=0.2)).open()
        told = list(connection.send_all(some(2)))
        assert told[0] is None
        faults = [one for one in told if isinstance(one, ProviderError)]
        assert [fault.outcome for fault in faults] == [Outcome.AMBIGUOUS] * 2
