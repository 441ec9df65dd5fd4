"""Replies as octets: however they are cut into packets, and never without bounds."""

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.channels.smtp_steps import Step
from backend.channels.smtp_wire import Closed, Wire

GROUP = b"250 2.1.0 OK\r\n250-2.1.5 he\r\n250 2.1.5 is here\r\n354 go on\r\n"
READ = [(250, b"2.1.0 OK\r"), (250, b"2.1.5 he\r\n2.1.5 is here\r"), (354, b"go on\r")]


class Packets:
    """A socket that hands out these packets, then the end of the connection."""

    def __init__(self, *packets: bytes) -> None:
        self._packets = iter(packets)

    def settimeout(self, _seconds: float) -> None: ...

    def recv(self, _most: int) -> bytes:
        return next(self._packets, b"")


def wire(*packets: bytes) -> Wire:
    return Wire(Packets(*packets))  # type: ignore[arg-type]


def read(given: Wire) -> tuple[int, bytes]:
    return given.read(Step.CONTENT, monotonic() + 10)


@given(st.sets(st.integers(1, len(GROUP) - 1)))
def test_a_group_of_replies_is_the_same_however_it_is_cut(cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(GROUP)]
    replies = wire(*(GROUP[start:end] for start, end in itertools.pairwise(edges)))
    assert [read(replies) for _ in READ] == READ
    assert not replies.has_unread


@pytest.mark.parametrize(
    ("said", "code", "text"),
    [
        (b"250\r\n", 250, b""),
        (b"250\n", 250, b""),
        (b"250 fine\n", 250, b"fine"),
        (b"250-\r\n250\r\n", 250, b"\r\n"),
        (b"250-one\r\n550 other\r\n", 550, b"one\r\nother"),
        (b"HTTP/1.1 400 Bad Request\r\n", -1, b""),
        (b"2500 fine\r\n", -1, b""),
        (b"25\n", -1, b""),
        (b" 25 fine\r\n", -1, b""),
        (b"+25 fine\r\n", -1, b""),
        ("٢٥٠ fine\r\n".encode(), -1, b""),
        (b"\r\n\n250 fine\r\n", 250, b"fine"),
        (b"250-fine\r\nHTTP\r\n", -1, b""),
    ],
)
def test_a_reply_is_three_digits_and_a_text(said: bytes, code: int, text: bytes) -> None:
    found = read(wire(said))
    assert (found[0], found[1].rstrip(b"\r")) == (code, text)


@pytest.mark.parametrize("chunk", [b"x" * 4096, b"250-more\r\n" * 400])
def test_a_reply_without_end_is_no_reply(chunk: bytes) -> None:
    endless = itertools.repeat(chunk, 100_000)
    with pytest.raises(Closed) as caught:
        read(wire(*endless))
    assert caught.value.answer is not None
    assert caught.value.answer.code == -1


@pytest.mark.parametrize("said", [b"", b"250", b"250-fine\r\n"])
def test_the_end_of_the_connection_is_no_end_of_a_reply(said: bytes) -> None:
    with pytest.raises(Closed) as caught:
        read(wire(said))
    assert (caught.value.answer, caught.value.timed_out) == (None, False)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_trickling_octets_gain_no_time(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    over = threading.Event()

    def trickle() -> None:
        while not over.is_set():
            theirs.sendall(b"2")
            time.sleep(0.005)

    thread = threading.Thread(target=trickle)
    thread.start()
    began = monotonic()
    try:
        with pytest.raises(Closed) as caught:
            Wire(ours).read(Step.CONTENT, began + 0.2)
    finally:
        over.set()
        thread.join()
    assert caught.value.timed_out
    assert 0.2 <= monotonic() - began < 2


def test_writing_is_bounded_in_time(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(Closed) as caught:
        Wire(pair[0]).write(b"x" * 20_000_000, Step.BODY, monotonic() + 0.2)
    assert caught.value.timed_out


def test_after_the_deadline_nothing_is_begun(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    with pytest.raises(Closed) as caught:
        Wire(ours).write(b"MAIL\r\n", Step.MAIL, monotonic() - 1)
    assert caught.value.timed_out
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(10)
