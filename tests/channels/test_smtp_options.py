"""The options of a mail server's address, and the sessions of servers that do things in ways of their own."""

import re
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from backend.channels.base import Outcome, ProviderError
from backend.channels.email_smtp import SmtpConnection, SmtpProvider
from backend.channels.smtp_capacity import Busy, MessageSpacing
from tests.channels.group_server import GroupServer
from tests.channels.messages import DELIVERY_ID, message
from tests.smtp_server import SmtpServer

MARY = ("mary@lab.example", "hunter2")
Ask = Callable[[str], str]


@pytest.fixture
def server() -> Iterator[GroupServer]:
    with GroupServer(credentials=MARY) as running:
        yield running


def connection(server: GroupServer, options: str = "") -> SmtpConnection:
    address = server.address.replace("mary@lab.example", "mary%40lab.example")
    return SmtpProvider(f"{address}{options}").open()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("timeout=0", "the option timeout is a number above 0 and up to 3,600"),
        ("greeting=soon", "the option greeting"),
        ("connect=-1", "the option connect"),
        ("final=3601", "the option final"),
        ("messages=1.5", "the option messages is a whole number from 1 up to"),
        ("minutes=0", "the option minutes"),
        ("rate=many", "the option rate"),
        ("connections=0", "the option connections"),
        ("ehlo=-bad name", "the option ehlo"),
        ("ehlo=a%0D%0ARSET", "the option ehlo"),
        ("auth=kerberos", "the option auth is one of plain, login, cram-md5, xoauth2"),
        ("auth=xoauth2", "needs the options client"),
        ("client=abc", "auth=xoauth2"),
        ("auth=xoauth2&client=a&token=http://login.example/token", "the option token is the https address"),
        ("auth=xoauth2&client=a&token=https://u:p@login.example/", "the option token is the https address"),
        ("bounces=bounces", "the option bounces"),
        ("bounces=a%0D%0Ab@mail.example", "the option bounces"),
        (f"bounces={'b' * 28}@mail.example", "at most 27 characters"),
    ],
)
def test_what_an_option_cannot_be_is_said_at_the_start(option: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        SmtpProvider(f"smtp://mary:hunter2@mail.example:587?{option}")
    assert "hunter2" not in str(caught.value)


def test_a_slow_greeting_is_waited_for(server: GroupServer) -> None:
    greets = server.play.greets = threading.Event()
    threading.Timer(0.5, greets.set).start()
    assert connection(server, "&connect=0.2").send(message()).detail.startswith("250")


def test_the_greeting_is_waited_for_as_long_as_the_option_says(server: GroupServer) -> None:
    server.play.greets = threading.Event()
    with pytest.raises(ProviderError, match="no answer in time") as caught:
        connection(server, "&greeting=0.1").send(message())
    server.play.greets.set()
    assert (caught.value.outcome, caught.value.route_down) == (Outcome.RETRY, True)


@pytest.mark.parametrize("extension", ["PIPELINING", "8BITMIME"])
def test_stray_blank_lines_are_no_replies(extension: str) -> None:
    with GroupServer(extension, credentials=MARY) as server:
        server.play.after = "\r\n\n"
        sending = connection(server)
        for number in range(3):
            sending.send(message(address=f"r{number}@lab.example"))
        assert [mail.recipient for mail in server.kept] == [f"r{number}@lab.example" for number in range(3)]
        assert server.connections == 1


def test_a_notice_on_an_idle_session_is_heard_between_blank_lines() -> None:
    with SmtpServer() as server:
        sending = SmtpProvider(server.address).open()
        sending.send(message())
        server.say("\r\n421 4.4.2 you were idle")
        sending.send(message())
        assert (len(server.messages), server.connections) == (2, 2)


@pytest.mark.parametrize("name", ["mailer.lab.example", "[192.0.2.7]"])
def test_the_name_that_we_give_ourselves_is_an_option(server: GroupServer, name: str) -> None:
    connection(server, f"&ehlo={name}").send(message())
    assert server.names == [name]


def test_a_session_has_only_so_many_messages(server: GroupServer) -> None:
    sending = connection(server, "&messages=3")
    for _ in range(7):
        sending.send(message())
    assert (len(server.kept), server.connections) == (7, 3)


def test_a_session_lasts_only_so_long(server: GroupServer) -> None:
    sending = connection(server, "&minutes=0.001")
    sending.send(message())
    threading.Event().wait(0.07)
    sending.send(message())
    assert (len(server.kept), server.connections) == (2, 2)


def test_a_session_that_has_refused_much_is_left_before_its_server_slows_it_down() -> None:
    with SmtpServer() as server:
        server.script.replies["gone@lab.example"] = "550 5.1.1 no such user"
        sending = SmtpProvider(server.address).open()
        for number in range(40):
            sending.send(message(address=f"r{number}@lab.example"))
        assert server.connections == 1
        for _ in range(32):
            with pytest.raises(ProviderError):
                sending.send(message(address="gone@lab.example"))
        sending.send(message())
        assert (server.connections, len(server.messages)) == (5, 41)


def test_so_many_connections_are_had_at_once_and_no_more(server: GroupServer) -> None:
    provider = SmtpProvider(f"{server.address.replace('mary@lab.example', 'mary')}&connections=2")
    server.credentials = ("mary", "hunter2")

    def sends(number: int) -> int:
        sending = provider.open()
        mails = [message(address=f"r{number}-{n}@lab.example") for n in range(10)]
        while mails:
            answers = [one for one in sending.send_all(mails[: sending.burst]) if one is not None]
            assert not any(isinstance(one, ProviderError) for one in answers)
            mails = mails[len(answers) :]
        return number

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(sends, range(4))) == [0, 1, 2, 3]
    assert len({mail.recipient for mail in server.kept}) == len(server.kept) == 40
    assert server.most_open <= 2
    assert server.connections == 2


def test_the_turns_of_a_rate_are_evenly_spaced(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("backend.channels.smtp_capacity.monotonic", lambda: 100.0)
    monkeypatch.setattr("backend.channels.smtp_capacity.time.sleep", waited.append)
    spacing = MessageSpacing(4)
    assert [spacing.wait(0.75) for _ in range(6)] == [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    assert waited == [0.0, 0.25, 0.5, 0.75], "nobody sleeps for longer than its patience"


def test_a_rate_is_kept(server: GroupServer, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("backend.channels.smtp_capacity.monotonic", lambda: 100.0)
    monkeypatch.setattr("backend.channels.smtp_capacity.time.sleep", waited.append)
    sending = connection(server, "&rate=4")
    assert sending.burst == 4
    for _ in range(3):
        sending.send(message())
    assert waited == [0.0, 0.25, 0.5]


def test_what_has_to_wait_long_for_its_turn_is_not_begun(server: GroupServer) -> None:
    sending = connection(server, "&rate=0.1")
    assert sending.burst == 1
    sending.send(message())
    with pytest.raises(Busy) as caught:
        sending.send(message())
    assert 8 < caught.value.seconds <= 10
    assert len(server.kept) == 1


def decoded(line: str) -> str:
    return b64decode(line).decode()


def asked(text: str) -> str:
    return b64encode(text.encode()).decode()


def plain_without_initial_response(words: list[str], ask: Ask) -> str:
    if len(words) > 1:
        return "501 5.5.4 no initial response"
    return "235 2.7.0 in" if decoded(ask("")) == "\0".join(("", *MARY)) else "535 5.7.8 no"


def plain_asks_again(_words: list[str], ask: Ask) -> str:
    return "235 2.7.0 in" if decoded(ask("")) == "\0".join(("", *MARY)) else "535 5.7.8 no"


def login(words: list[str], ask: Ask) -> str:
    if words[0] != "LOGIN":
        return "504 5.5.4 unknown"
    given = (decoded(ask(asked("Username:"))), decoded(ask(asked("Password:"))))
    return "235 2.7.0 in" if given == MARY else "535 5.7.8 no"


@pytest.mark.parametrize(
    ("offered", "signs_in"),
    [
        ("PLAIN", plain_without_initial_response),
        ("PLAIN", plain_asks_again),
        ("LOGIN", login),
        ("PLAIN LOGIN", login),
        ("CRAM-MD5 PLAIN LOGIN", plain_without_initial_response),
    ],
)
def test_signing_in_takes_the_ways_that_servers_have(
    server: GroupServer, offered: str, signs_in: Callable[[list[str], Ask], str]
) -> None:
    server.mechanisms, server.play.signs_in = offered, signs_in
    connection(server).send(message())
    assert len(server.kept) == 1


def test_an_attempt_fails_to_log_in_once_and_no_more(server: GroupServer) -> None:
    server.mechanisms = "CRAM-MD5 PLAIN LOGIN"
    server.play.signs_in = lambda _words, _ask: "535 5.7.8 wrong"
    with pytest.raises(ProviderError) as caught:
        connection(server).send(message())
    assert caught.value.outcome is Outcome.CONFIG
    assert server.logins == ["PLAIN"]


def test_the_mechanism_is_an_option(server: GroupServer) -> None:
    server.mechanisms, server.play.signs_in = "PLAIN LOGIN", login
    connection(server, "&auth=login").send(message())
    assert server.logins == ["LOGIN"]


def returned_to(**changes: Any) -> tuple[str, str]:
    with SmtpServer() as server:
        sending = SmtpProvider(f"{server.address}&bounces=bounces@mail.example").open()
        sending.send(message(**changes))
        (mail,) = server.wait_for(1)
    return mail.envelope_from, str(mail.parsed["From"])


def test_what_cannot_be_delivered_returns_to_an_address_of_its_delivery() -> None:
    assert returned_to() == (f"bounces+{DELIVERY_ID}@mail.example", "Carillon <no-reply@carillon.example>")


def test_each_message_of_a_burst_has_a_return_address_of_its_own() -> None:
    names = [f"0191f0aa-7b2c-7def-8000-00000000000{number}" for number in range(6)]
    with SmtpServer() as server:
        sending = SmtpProvider(f"{server.address}&bounces=bounces@mail.example").open()
        list(sending.send_all([message(delivery_id=name) for name in names]))
        mails = server.wait_for(6)
    assert sorted(mail.envelope_from for mail in mails) == [f"bounces+{name}@mail.example" for name in names]


@pytest.mark.parametrize("utf8", [True, False])
@pytest.mark.parametrize("changes", [{"sender": "jörg@lab.example"}, {"reply_to": "jörg@lab.example"}])
def test_a_sender_beyond_ascii_needs_smtputf8_and_is_named(utf8: bool, changes: dict[str, str]) -> None:
    with SmtpServer(utf8=utf8) as server:
        sending = SmtpProvider(f"{server.address}&bounces=bounces@mail.example").open()
        if utf8:
            sending.send(message(**changes))
            assert len(server.messages) == 1
        else:
            with pytest.raises(ProviderError, match="the sender or the address for answers"):
                sending.send(message(**changes))
