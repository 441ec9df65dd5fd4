"""Clients that send by drips, without end or in two meanings are cut off by a real server; others are answered."""

import asyncio
import json
import queue
import select
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from backend.lib.connections import LingeringTransport, TimedProtocol
from tests.patience import patient

LINES = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n"
HEAD = LINES + b"\r\n"
OFFER = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAAB\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"


LATE = threading.Event()
PIECE = b"." * 16_384
# More than the system keeps for a peer that does not read.
FLOOD = 4_096 * len(PIECE)
SENT: list[int] = []
IN_ONE_TURN: queue.SimpleQueue[int] = queue.SimpleQueue()


class Short(TimedProtocol):
    HEAD_SECONDS = 0.3
    BODY_SECONDS = 0.3
    BYTES_PER_SECOND = 1 << 30


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the body, or before it, or not before the test lets it."""
    if scope["path"] == "/early":
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"early"})
        return
    if scope["path"] == "/flood":
        asyncio.get_running_loop().call_soon(lambda: IN_ONE_TURN.put(len(SENT)))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % FLOOD)]})
        for _ in range(FLOOD // len(PIECE)):
            SENT.append(len(PIECE))
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
        return
    if scope["path"] == "/late":
        await asyncio.to_thread(LATE.wait, 10)
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        body, more = body + message.get("body", b""), message.get("more_body", False)
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(echo, http=Short, loop="uvloop", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True)
    thread.start()
    yield listening.getsockname()
    server.should_exit = True
    thread.join(10)


def drip(address: tuple[str, int], first: bytes, drops: bytes) -> bytes:
    """Send ``first``, then ``drops`` one after the other until the server has enough; return what it said."""
    with socket.create_connection(address, timeout=10) as line:
        line.sendall(first)
        line.settimeout(0.05)
        heard = b""
        for number in range(400):
            try:
                piece = line.recv(4096)
            except TimeoutError:
                line.sendall(drops[number : number + 1])
                continue
            except ConnectionResetError:
                return heard
            if not piece:
                return heard
            heard += piece
    pytest.fail("the server waited for all of it")


@pytest.mark.parametrize(
    ("first", "drops"),
    [
        (b"", b""),
        (b"POST / HT", b""),
        (LINES, b"x-slow: " + b"a" * 400),
        (HEAD, b""),
        (HEAD.replace(b"3", b"400"), b"a" * 400),
        (HEAD.replace(b"content-length: 3", b"transfer-encoding: chunked"), b"1\r\na\r\n" * 100),
    ],
    ids=["silence", "half a line", "headers by drips", "no body", "a body by drips", "chunks by drips"],
)
def test_a_request_that_does_not_come_is_cut_off(address: tuple[str, int], first: bytes, drops: bytes) -> None:
    assert problem(drip(address, first, drops)) == (408, "request_timeout")


def problem(heard: bytes) -> tuple[int, str]:
    """Return the status and the code of a problem that is the only answer on its connection."""
    head, _, body = heard.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:])
    assert fields["content-type"] == "application/problem+json"
    assert fields["connection"] == "close"
    assert int(fields["content-length"]) == len(body)
    said = json.loads(body)
    assert lines[0].split(" ")[1] == str(said["status"])
    assert said["type"].endswith(f"/docs/errors#{said['code']}")
    return said["status"], said["code"]


def hear(line: socket.socket, answers: int, ending: bytes) -> None:
    """Read so many answers, the last of which ends so."""
    heard = b""
    while heard.count(b"HTTP/1.1 200") < answers or not heard.endswith(ending):
        piece = line.recv(4096)
        assert piece, heard
        heard += piece


def test_a_request_is_answered_and_the_connection_kept_for_the_next(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as line:
        for body in (b"abc", b"def"):
            line.sendall(HEAD + body)
            hear(line, 1, body)
        line.sendall(HEAD + b"abc" + HEAD + b"def")  # one behind the other
        hear(line, 2, b"def")
        line.sendall(HEAD + b"a")  # and the kept connection is watched as well
        assert line.recv(4096).startswith(b"HTTP/1.1 408")


def test_an_answer_is_sent_as_one(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as line:
        for _ in range(5):
            line.sendall(HEAD + b"abc")
            assert line.recv(4096).endswith(b"\r\n\r\nabc")


def test_a_long_answer_waits_for_a_peer_that_does_not_read(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as line:
        line.sendall(b"GET /flood HTTP/1.1\r\nhost: a\r\n\r\n")
        assert line.recv(12) == b"HTTP/1.1 200"
        assert IN_ONE_TURN.get(timeout=patient(10)) < FLOOD // len(PIECE)


def say(address: tuple[str, int], *pieces: bytes) -> bytes:
    """Send the pieces until the server closes the connection; return what it said."""
    heard = b""
    with socket.create_connection(address, timeout=10) as line:
        try:
            for piece in pieces:
                line.sendall(piece)
            while piece := line.recv(4096):
                heard += piece
        except ConnectionError:  # it closes while it is still being told more
            pass
    return heard


@pytest.mark.parametrize(
    "lines",
    [
        b"content-length: 3\r\ncontent-length: 30\r\n",
        b"content-length: 3\r\ncontent-length: 3\r\n",
        b"content-length: 3, 30\r\n",
        b"content-length: +3\r\n",
        b"content-length: -3\r\n",
        b"content-length: 0x3\r\n",
        b"content-length: 3 0\r\n",
        b"content-length : 3\r\n",
        b"content-length: 99999999999999999999999\r\n",
        b"content-length: 3\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 3\r\n",
        b"transfer-encoding: identity\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"transfer-encoding: xchunked\r\n",
        b"x: 1\r\n content-length: 3\r\n",
        b"content-length: 3\n",
        b"content\x00-length: 3\r\n",
        b"x: a\rcontent-length: 3\r\n",
    ],
)
def test_a_request_whose_end_can_be_read_in_two_ways_is_refused(address: tuple[str, int], lines: bytes) -> None:
    hidden = b"GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n"
    heard = say(address, b"POST / HTTP/1.1\r\nhost: a\r\n" + lines + b"\r\n" + b"0\r\n\r\n" + hidden)
    assert problem(heard) == (400, "invalid_request")


@pytest.mark.parametrize("line", [b"FOO / HTTP/1.1", b"post / HTTP/1.1", b"GETS / HTTP/1.1", b"\x16\x03\x01\x02\x00"])
def test_a_method_that_nobody_knows_is_said_to_be_one(address: tuple[str, int], line: bytes) -> None:
    assert problem(say(address, line + b"\r\nhost: a\r\n\r\n")) == (501, "not_implemented")


@pytest.mark.parametrize(
    "body", [b"zz\r\nabc\r\n0\r\n\r\n", b"3\r\nabcdef\r\n0\r\n\r\n", b"-1\r\n\r\n", b"3\nabc\r\n0\r\n\r\n"]
)
def test_chunks_that_are_none_end_the_connection(address: tuple[str, int], body: bytes) -> None:
    heard = say(address, CHUNKED + body)
    assert b"HTTP/1.1 200" not in heard
    assert heard.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (b"POST / HTTP/1.1\r\nhost: a\r\n", b"x-more: " + b"a" * 1000 + b"\r\n"),
        (b"POST / HTTP/1.1\r\nhost: a\r\nx-long: ", b"a" * 1000),
        (b"GET /", b"a" * 1000),
        (CHUNKED + b"1;", b"a" * 1000),
        (CHUNKED + b"1\r\na\r\n0\r\n", b"x-more: " + b"a" * 1000 + b"\r\n"),
        (CHUNKED + b"1\r\na\r\n0\r\nx-long: ", b"a" * 1000),
    ],
    ids=[
        "many lines",
        "a long line",
        "a long address",
        "words of a chunk",
        "many lines after it",
        "a long one after it",
    ],
)
def test_what_is_no_body_has_an_end(address: tuple[str, int], first: bytes, more: bytes) -> None:
    heard = say(address, first, *(more for _ in range(400)))
    # A client that is still sending may lose the answer with the connection.
    assert heard == b"" or heard.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
    assert b"200" not in heard


def test_a_body_in_small_chunks_is_none_of_that(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as line:
        line.sendall(CHUNKED + b"1\r\na\r\n" * 50_000 + b"0\r\nx-after: 1\r\n\r\n")
        hear(line, 1, b"a" * 50_000)


@pytest.mark.parametrize("offered", [b"h2c", b"TLS/1.2", b"websocket", b"anything"])
@pytest.mark.parametrize("hidden", [b"GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"])
def test_an_offer_to_upgrade_is_ignored_and_the_body_is_the_requests(
    address: tuple[str, int], offered: bytes, hidden: bytes
) -> None:
    head = b"POST / HTTP/1.1\r\nhost: a\r\n" + OFFER.replace(b"h2c", offered)
    heard = say(address, head + b"content-length: %d\r\n\r\n" % len(hidden) + hidden, CLOSING)
    assert heard.count(b"HTTP/1.1 200 OK") == 2
    assert heard.split(b"\r\n\r\n", 1)[1].startswith(hidden)


CLOSING = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc"


@pytest.mark.parametrize("offer", [b"", OFFER])
@pytest.mark.parametrize("last", [b"", b"connection: close\r\n"])
def test_an_early_answer_reaches_a_client_that_sends_all_before_it_reads(
    address: tuple[str, int], last: bytes, offer: bytes
) -> None:
    for _ in range(10):
        with socket.create_connection(address, timeout=10) as line:
            line.sendall(b"POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 8000000\r\n" + last + offer + b"\r\n")
            for _piece in range(8):
                line.sendall(b"a" * 1_000_000)
            hear_early(line)
            if not last:  # the connection goes on behind the body that nobody wanted
                line.sendall(HEAD + b"abc")
                hear(line, 1, b"abc")


def hear_early(line: socket.socket) -> None:
    heard = b""
    while not heard.endswith(b"early"):
        piece = line.recv(4096)
        assert piece, heard
        heard += piece
    assert heard.startswith(b"HTTP/1.1 401 ")


def test_what_a_refused_client_still_sends_does_not_cost_it_the_answer(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as line:
        line.sendall(b"NONSENSE\r\n\r\n")
        for _ in range(8):
            line.sendall(b"a" * 1_000_000)
        assert line.recv(4096).startswith(b"HTTP/1.1 501 ")


def test_a_client_that_goes_on_is_listened_to_for_a_while(address: tuple[str, int], monkeypatch: Any) -> None:
    monkeypatch.setattr(LingeringTransport, "BYTES", 4_000_000)
    with socket.create_connection(address, timeout=10) as line:
        line.sendall(b"NONSENSE\r\n\r\n")
        with pytest.raises(ConnectionError):
            line.sendall(b"a" * 64_000_000)


def now_and_then(line: socket.socket) -> None:
    """Send, after silences that are longer than what the server waits."""
    for _ in range(20):
        select.select([], [], [], 0.3)
        line.sendall(b"a")


def test_a_client_that_says_no_more_is_not_waited_for(address: tuple[str, int], monkeypatch: Any) -> None:
    monkeypatch.setattr(LingeringTransport, "SILENT_SECONDS", 0.2)
    with socket.create_connection(address, timeout=10) as line:
        line.sendall(b"NONSENSE\r\n\r\n")
        while line.recv(4096):  # its half of the connection is closed
            pass
        with pytest.raises(ConnectionError):  # it is there no more
            now_and_then(line)


def test_nonsense_behind_a_request_is_refused_after_its_answer(address: tuple[str, int]) -> None:
    LATE.clear()
    with socket.create_connection(address, timeout=10) as line:
        line.sendall(HEAD.replace(b"POST /", b"POST /late") + b"abc" + b"NONSENSE\r\n\r\n")
        line.settimeout(0.3)
        with pytest.raises(TimeoutError):
            line.recv(4096)
        LATE.set()
        line.settimeout(10)
        heard = b""
        while piece := line.recv(4096):
            heard += piece
    assert heard.index(b"HTTP/1.1 200 ") < heard.index(b"HTTP/1.1 501 ")


def test_an_empty_line_does_not_keep_a_connection_for_ever(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as line:
        line.sendall(HEAD + b"abc")
        hear(line, 1, b"abc")
        line.sendall(b"\r\n")
        assert line.recv(4096).startswith(b"HTTP/1.1 408")
