"""SMTP with PIPELINING (RFC 2920): every place at which a group of commands can go wrong, and the same without."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.channels.base import Outcome, ProviderError
from backend.channels.email_smtp import SmtpConnection, SmtpProvider
from backend.channels.smtp_handshake import Timeouts
from backend.channels.smtp_session import Envelope, Session
from backend.channels.smtp_steps import Step
from backend.channels.smtp_wire import Closed, Wire
from tests.channels.group_server import GroupServer, Play
from tests.channels.messages import message

GROUPED = [["MAIL", "RCPT", "DATA"], ["CONTENT"]]
ONE_BY_ONE = [["MAIL"], ["RCPT"], ["DATA"], ["CONTENT"]]
MARY = ("mary", "hunter2")


@pytest.fixture
def server() -> Iterator[GroupServer]:
    with GroupServer() as running:
        yield running


@pytest.fixture(params=["PIPELINING", "8BITMIME"])
def either(request: pytest.FixtureRequest) -> Iterator[GroupServer]:
    """A server that takes groups, and one that does not."""
    with GroupServer(request.param) as running:
        yield running


def connection(server: GroupServer, *, used: bool = False, **waits: float) -> SmtpConnection:
    made = SmtpProvider(server.address, Timeouts(**waits)).open()
    if used:
        made.send(message())
        server.groups.clear()
        server.kept.clear()
    return made


def refused(connection: SmtpConnection, **changes: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        connection.send(message(**changes))
    return caught.value


def assert_usable(connection: SmtpConnection, server: GroupServer, connections: int) -> None:
    """The next mail goes through, and by then there were so many connections."""
    server.play = Play()
    connection.send(message(address="bob@lab.example"))
    assert "bob@lab.example" in {mail.recipient for mail in server.kept}
    assert server.connections == connections


def test_a_mail_takes_two_round_trips(server: GroupServer) -> None:
    sending = connection(server)
    for number in range(3):
        assert sending.send(message(address=f"r{number}@lab.example")).detail == "250 2.0.0 kept"
    assert server.groups == GROUPED * 3
    assert [mail.recipient for mail in server.kept] == [f"r{number}@lab.example" for number in range(3)]
    assert {mail.sender for mail in server.kept} == {"no-reply@carillon.example"}
    assert server.connections == 1


@pytest.mark.parametrize("offers", ["8BITMIME", "X-PIPELINING", "SIZE 50000000", "SIZE 0", "SIZE " + "9" * 5000])
def test_no_groups_for_a_server_that_does_not_offer_them(offers: str) -> None:
    with GroupServer(offers) as server:
        sending = connection(server)
        sending.send(message())
        sending.send(message())
        assert server.groups == ONE_BY_ONE * 2


@pytest.mark.parametrize(
    ("tls", "offers"), [("starttls", "PIPELINING"), ("starttls", "8BITMIME"), ("tls", "PIPELINING")]
)
def test_groups_follow_tls_and_signing_in(tls: str, offers: str, tmp_path: Path) -> None:
    with GroupServer(offers, tls=tls, folder=tmp_path, credentials=MARY) as server:
        sending = connection(server)
        sending.send(message())
        sending.send(message(text="line\n" * 100_000))
        assert server.groups == (GROUPED if offers == "PIPELINING" else ONE_BY_ONE) * 2
        sending.close()


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_loss_behind_tls_is_the_same_as_without(tls: str, tmp_path: Path) -> None:
    with GroupServer(tls=tls, folder=tmp_path, credentials=MARY) as server:
        sending = connection(server, used=True, exchange=2.0)
        server.play.closes, server.play.times = "RCPT", 1
        sending.send(message())
        server.play = Play(closes="CONTENT")
        assert refused(sending).outcome is Outcome.AMBIGUOUS
        server.play = Play(hangs="DATA")
        assert "no answer in time" in refused(sending).detail


RCPT_GONE = "550 5.1.1 no such user"
AWAY = (Outcome.CONFIG, False, "5.7.1")
GONE = (Outcome.PERMANENT, False, "5.1.1")


@pytest.mark.parametrize(
    ("answers", "what", "last", "connections"),
    [
        ({"MAIL": "550 5.7.1 not yours"}, AWAY, "RSET", 1),
        ({"MAIL": "550-5.7.1 not\r\n550-5.7.1 yours\r\n550 5.7.1 at all"}, AWAY, "RSET", 1),
        # What may be of the session ends it.
        ({"MAIL": "451 4.3.0 later"}, (Outcome.RETRY, False, "4.3.0"), "QUIT", 2),
        ({"RCPT": "452 4.5.3 too many messages"}, (Outcome.THROTTLED, False, "4.5.3"), "QUIT", 2),
        ({"CONTENT": "451 4.3.0 later"}, (Outcome.RETRY, False, "4.3.0"), "QUIT", 2),
        ({"MAIL": "550 5.7.1 not yours", "DATA": "354 go on"}, AWAY, "DOT", 1),
        ({"RCPT": RCPT_GONE}, GONE, "RSET", 1),
        ({"RCPT": "450 4.2.0 busy"}, (Outcome.RETRY, False, "4.2.0"), "RSET", 1),
        ({"RCPT": RCPT_GONE, "DATA": "554 5.5.1 no valid recipients"}, GONE, "RSET", 1),
        ({"RCPT": RCPT_GONE, "DATA": "354 go on"}, GONE, "DOT", 1),
        ({"RCPT": RCPT_GONE, "DATA": "354-go\r\n354 on"}, GONE, "DOT", 1),
        ({"RCPT": RCPT_GONE, "DATA": "354 go on", "DOT": "250 2.0.0 kept for nobody"}, GONE, "DOT", 1),
        ({"DATA": "451 4.3.0 later"}, (Outcome.RETRY, False, "4.3.0"), "QUIT", 2),
        ({"DATA": "554 5.3.4 no"}, (Outcome.PERMANENT, False, "5.3.4"), "RSET", 1),
        ({"CONTENT": "554 5.7.1 spam"}, (Outcome.PERMANENT, False, "5.7.1"), "RSET", 1),
        # What follows the refusal makes the session useless: the refusal counts, the connection is replaced.
        ({"RCPT": RCPT_GONE, "DATA": "421 4.7.0 enough"}, GONE, "DATA", 2),
        ({"RCPT": RCPT_GONE, "DATA": "nonsense"}, GONE, "DATA", 2),
        ({"MAIL": "550 5.7.1 not yours", "RCPT": "421 4.7.0 enough"}, AWAY, "RCPT", 2),
        ({"RCPT": RCPT_GONE, "DATA": "354 go on", "DOT": "421 4.7.0 enough"}, GONE, "DOT", 2),
        ({"RCPT": RCPT_GONE, "DATA": "354 go on", "DOT": "nonsense"}, GONE, "DOT", 2),
        ({"RCPT": RCPT_GONE, "RSET": "500 5.5.1 what?"}, GONE, "RSET", 2),
        # The sender was refused, the recipient not: a lone dot could send an empty mail, so there is none.
        ({"MAIL": "550 5.7.1 not yours", "RCPT": "250 fine", "DATA": "354 go on"}, AWAY, "DATA", 2),
        # Answers out of order.
        ({"MAIL": "354 go on"}, (Outcome.RETRY, True, "354"), "DATA", 2),
        ({"DATA": "250 2.0.0 fine"}, (Outcome.RETRY, True, "2.0.0"), "DATA", 2),
        ({"CONTENT": "354 go on"}, (Outcome.AMBIGUOUS, True, "354"), "CONTENT", 2),
    ],
)
@pytest.mark.parametrize("packet", [None, 7])
def test_every_refusal_in_a_group_is_the_one_it_is(
    server: GroupServer,
    *,
    answers: dict[str, str],
    what: tuple[Outcome, bool, str | None],
    last: str,
    connections: int,
    packet: int | None,
) -> None:
    sending = connection(server)
    server.play = Play(answers=answers, packet=packet)
    fault = refused(sending)
    assert (fault.outcome, fault.route_down, fault.code) == what
    assert server.groups[0][:2] == ["MAIL", "RCPT"]
    assert server.groups[-1][-1] == last
    assert all(not mail.recipient for mail in server.kept) or what[0] is Outcome.AMBIGUOUS
    assert_usable(sending, server, connections)


def test_an_answer_to_content_that_was_not_sent_yet_is_none(either: GroupServer) -> None:
    sending = connection(either)
    either.play.answers["DATA"] = "354 go on\r\n250 2.0.0 kept"
    fault = refused(sending)
    assert (fault.outcome, fault.route_down) == (Outcome.RETRY, True)
    assert either.kept == []
    assert_usable(sending, either, 2)


@pytest.mark.parametrize(
    ("answers", "what"),
    [
        ({"MAIL": "550 5.7.1 not yours"}, AWAY),
        ({"RCPT": RCPT_GONE}, GONE),
        ({"DATA": "554 5.3.4 no"}, (Outcome.PERMANENT, False, "5.3.4")),
    ],
)
def test_a_refusal_without_groups_ends_the_transaction(
    answers: dict[str, str], what: tuple[Outcome, bool, str]
) -> None:
    with GroupServer("8BITMIME") as server:
        sending = connection(server)
        server.play.answers = answers
        fault = refused(sending)
        assert (fault.outcome, fault.route_down, fault.code) == what
        assert server.groups[-1] == ["RSET"]
        assert_usable(sending, server, 1)


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_a_421_anywhere_in_the_envelope_is_answered_by_one_new_connection(either: GroupServer, step: str) -> None:
    sending = connection(either, used=True)
    either.play.answers[step] = "421 4.7.0 enough"
    fault = refused(sending)
    assert (fault.outcome, fault.route_down, fault.code) == (Outcome.RETRY, True, "4.7.0")
    assert either.connections == 2
    assert_usable(sending, either, 3)


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_a_connection_closed_in_the_envelope_is_renewed_once(either: GroupServer, step: str) -> None:
    sending = connection(either, used=True)
    either.play.closes, either.play.times = step, 1
    assert sending.send(message()).detail == "250 2.0.0 kept"
    assert (either.connections, len(either.kept)) == (2, 1)
    either.play = Play(closes=step)
    fault = refused(sending)
    assert (fault.outcome, fault.route_down) == (Outcome.RETRY, True)
    assert either.connections == 3
    assert_usable(sending, either, 4)


@pytest.mark.parametrize(
    ("refusing", "closing"), [("MAIL", "RCPT"), ("MAIL", "DATA"), ("RCPT", "DATA"), ("RCPT", "DOT")]
)
def test_a_refusal_counts_although_the_server_closes_after_it(server: GroupServer, refusing: str, closing: str) -> None:
    sending = connection(server)
    server.play = Play(answers={refusing: RCPT_GONE, "DATA": "354 go on"}, closes=closing)
    assert refused(sending).code == "5.1.1"
    assert_usable(sending, server, 2)


def test_a_connection_closed_after_the_content_is_ambiguous_and_not_renewed(either: GroupServer) -> None:
    sending = connection(either, used=True)
    either.play.closes = "CONTENT"
    fault = refused(sending)
    assert (fault.outcome, fault.route_down) == (Outcome.AMBIGUOUS, False)
    assert len(either.kept) == 1
    assert_usable(sending, either, 2)


def test_a_connection_closed_in_the_middle_of_the_content_is_tried_again_later(either: GroupServer) -> None:
    sending = connection(either, used=True)
    either.play.closes = "BODY"
    # More than the sockets' buffers hold, so that the loss shows before the final dot is written.
    fault = refused(sending, text="x" * 60 + "\n" + "line\n" * 4_000_000)
    assert (fault.outcome, fault.route_down, either.kept) == (Outcome.RETRY, False, [])
    assert_usable(sending, either, 2)


@pytest.mark.parametrize(
    ("step", "waits", "outcome"),
    [
        ("MAIL", {"exchange": 0.3}, Outcome.RETRY),
        ("RCPT", {"exchange": 0.3}, Outcome.RETRY),
        ("DATA", {"exchange": 0.3}, Outcome.RETRY),
        ("CONTENT", {"final": 0.3}, Outcome.AMBIGUOUS),
    ],
)
def test_a_hung_server_is_given_up_in_time_and_not_tried_twice(
    either: GroupServer, step: str, waits: dict[str, float], outcome: Outcome
) -> None:
    sending = connection(either, used=True, **waits)
    either.play.hangs = step
    began = monotonic()
    fault = refused(sending)
    assert (fault.outcome, fault.route_down) == (outcome, True)
    assert "no answer in time" in fault.detail
    assert monotonic() - began < 3
    assert_usable(sending, either, 2)


@pytest.mark.parametrize("packet", [1, 3, 16])
def test_replies_in_many_packets_are_the_same_replies(either: GroupServer, packet: int) -> None:
    either.play = Play(packet=packet, answers={"RCPT": "250-2.1.5 he is\r\n250-2.1.5 still\r\n250 2.1.5 here"})
    sending = connection(either)
    for _ in range(2):
        assert sending.send(message()).detail == "250 2.0.0 kept"
    assert (len(either.kept), either.connections) == (2, 1)


def test_a_huge_mail_arrives_whole(either: GroupServer) -> None:
    sending = connection(either)
    text = ("." * 30 + "\n" + "a line of text\n") * 55_000
    sending.send(message(text=text, html=None))
    (mail,) = either.kept
    assert len(mail.content) > 2_500_000
    assert mail.content.partition(b"\r\n\r\n")[2] == text.replace("\n", "\r\n").encode()


@pytest.fixture(scope="module")
def session() -> Iterator[tuple[Session, GroupServer]]:
    with GroupServer() as server:
        yield Session(SmtpProvider(server.address)._server), server


@given(st.lists(st.text(".ab\0é", max_size=5), min_size=1, max_size=8), st.booleans())
@example(["."], True)
@example(["", ".", ""], True)
@example(["a", "."], False)
@example([""], False)
def test_any_content_arrives_as_it_was(session: tuple[Session, GroupServer], lines: list[str], ended: bool) -> None:
    sending, server = session
    content = "\r\n".join(lines).encode() + (b"\r\n" if ended else b"")
    server.kept.clear()
    sending.submit(Envelope("a@lab.example", "b@lab.example"), content, monotonic() + 10)
    (mail,) = server.kept
    assert mail.content == (content if content.endswith(b"\r\n") else content + b"\r\n")


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("who", ["sender", "recipient"])
def test_an_envelope_cannot_smuggle_a_command(session: tuple[Session, GroupServer], who: str, end: str) -> None:
    sending, server = session
    parts = {"sender": "a@lab.example", "recipient": "b@lab.example"}
    parts[who] += f"{end}RCPT TO:<evil@x.example"
    with pytest.raises(ProviderError, match="line break"):
        sending.submit(Envelope(**parts), b"content\r\n", monotonic() + 10)
    assert sending.is_open
    assert server.groups[-1] != ["MAIL", "RCPT", "RCPT", "DATA"]


@pytest.mark.parametrize("step", [Step.RCPT, Step.CONTENT])
def test_an_interrupted_transaction_leaves_no_replies_for_the_next(
    either: GroupServer, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending = connection(either, used=True)
    read = Wire.read

    def interrupted(wire: Wire, at: Step, deadline: float) -> tuple[int, bytes]:
        if at is step:
            raise KeyboardInterrupt
        return read(wire, at, deadline)

    with monkeypatch.context() as patched:
        patched.setattr(Wire, "read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sending.send(message())
    assert_usable(sending, either, 2)


def test_a_session_that_is_over_says_so() -> None:
    with GroupServer() as server:
        session = Session(SmtpProvider(server.address)._server)
        session.quit()
        session.quit()
        assert not session.is_open
        with pytest.raises(Closed):
            session.submit(Envelope("a@lab.example", "b@lab.example"), b"x\r\n", monotonic() + 10)
