"""Streams of odd requests, with what a server must make of each: made from parts whose meaning is known.

``python -m tests.lib.request_streams --cases 2000`` sends each of so many streams to the web process's protocol once
for every octet at which it can be split in two, and says what went wrong.
"""

import argparse
import asyncio
import random
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import uvicorn
import uvloop
from uvicorn.server import ServerState

from backend.lib.connections import TimedProtocol

HIDDEN = b"GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n"
_OFFERS = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n",
    b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    b"CONNECTION: keep-alive ,\tUPGRADE\r\nUPGRADE: TLS/1.2, HTTP/2.0\r\n",
    b"Upgrade: anything\r\nConnection: upgrade\r\nConnection: keep-alive\r\n",
    b"Upgrade: h2c\r\n",
    b"Connection: upgrade\r\n",
    b"Connection: Upgrade\r\nUpgrade:\r\n",
    b"",
)
_LINES = (
    b"x-odd: \xe9\xff\r\n",
    b"accept: */*\r\n",
    b"x-empty:\r\n",
    b"x: " + b"a" * 300 + b"\r\n",
    b"expect: something\r\n",
    b"Expect: 100-continue\r\n",
    b"x-tab:\t\tv \t\r\n",
)
# Heads whose end, or whose body's end, could be read in two ways.
_BAD = (
    b"content-length: 3\r\ncontent-length: 30\r\n",
    b"content-length: 3, 30\r\n",
    b"content-length: +3\r\n",
    b"content-length: 0x3\r\n",
    b"content-length : 3\r\n",
    b"content-length: 3\r\ntransfer-encoding: chunked\r\n",
    b"transfer-encoding: chunked\r\ncontent-length: 3\r\n",
    b"transfer-encoding: chunked, identity\r\n",
    b"transfer-encoding: xchunked\r\n",
    b"content-length: 3\n",
    b"x: a\rcontent-length: 3\r\n",
    b"x\x00: a\r\n",
    b"\xff: a\r\n",
    b"no colon\r\n",
)
_BAD_CHUNKS = (b"zz\r\nabc\r\n", b"-1\r\n\r\n", b"3\r\nabcdef\r\n", b"3\nabc\r\n", b"0x1\r\na\r\n")


@dataclass
class Stream:
    """Octets, the answers that must come for them in this order, and whether nothing is answered after those."""

    octets: bytes = b""
    answers: list[tuple[int, bytes, bytes, bytes]] = field(default_factory=list)
    ended: bool = False

    def add(self, octets: bytes, *answers: tuple[int, bytes, bytes, bytes], ends: bool = False) -> None:
        """Add a request; nothing that follows the end is answered."""
        self.octets += octets
        if not self.ended:
            self.answers += answers
            self.ended = ends


def make(seed: int) -> Stream:
    """Make the stream of a number: one to three requests, some of which may be none."""
    chance = random.Random(seed)
    stream = Stream()
    for number in range(chance.randint(1, 3)):
        if chance.random() < 0.15:
            _add_bad(stream, chance)
        else:
            _add_good(stream, chance, number)
    return stream


def _add_good(stream: Stream, chance: random.Random, number: int) -> None:
    method = chance.choice((b"POST", b"PUT", b"GET", b"DELETE", b"PATCH"))
    path = chance.choice((b"/early", b"/echo", b"/%d" % number, b"//echo", b"/a%20b?c=d"))
    version = b"1.0" if chance.random() < 0.05 else b"1.1"
    body = _body(chance)
    chunked = bool(body) and version == b"1.1" and chance.random() < 0.5
    closing = version == b"1.0" or chance.random() < 0.1
    lines = [b"host: a\r\n", chance.choice(_OFFERS), *chance.sample(_LINES, chance.randint(0, 2))]
    if version == b"1.1" and closing:
        lines.append(b"connection: close\r\n")
    lines.append(b"transfer-encoding: chunked\r\n" if chunked else b"content-length: %d\r\n" % len(body))
    if not body and chance.random() < 0.5:
        lines.pop()
    chance.shuffle(lines)
    target = chance.choice((path, b"http://a" + path))
    blank = chance.choice((b"", b"", b"", b"\r\n"))
    head = blank + method + b" " + target + b" HTTP/" + version + b"\r\n" + b"".join(lines) + b"\r\n"
    early = path == b"/early"
    path = path.partition(b"?")[0].replace(b"%20", b" ")
    answer = (401, method, path, b"") if early else (200, method, path, digest(body))
    stream.add(head + (_in_chunks(chance, body) if chunked else body), answer, ends=closing)


def _add_bad(stream: Stream, chance: random.Random) -> None:
    refused = (400, b"", b"", b"")
    offer = chance.choice(_OFFERS)
    if chance.random() < 0.7:
        head = b"POST /bad HTTP/1.1\r\nhost: a\r\n" + offer + chance.choice(_BAD) + b"\r\n"
        stream.add(head + b"0\r\n\r\n" + HIDDEN, refused, ends=True)
        return
    head = b"POST /bad HTTP/1.1\r\nhost: a\r\n" + offer + b"transfer-encoding: chunked\r\n\r\n"
    stream.add(head + chance.choice(_BAD_CHUNKS) + b"0\r\n\r\n" + HIDDEN, refused, ends=True)


def _body(chance: random.Random) -> bytes:
    return chance.choice(
        (b"", HIDDEN, HIDDEN * 2, b"0\r\n\r\n" + HIDDEN, b"\r\n\r\n", b'{"a": 1}', chance.randbytes(40))
    )


def _in_chunks(chance: random.Random, body: bytes) -> bytes:
    out = b""
    while body:
        size = chance.randint(1, len(body))
        said = chance.choice((b"%x", b"%X", b"0%x", b'%x;a="b"')) % size
        out, body = out + said + b"\r\n" + body[:size] + b"\r\n", body[size:]
    trailers = chance.choice((b"", b"x-after: 1\r\n", b"upgrade: h2c\r\nconnection: upgrade\r\n", b"host: b\r\n"))
    return out + b"0\r\n" + trailers + b"\r\n"


def digest(body: bytes) -> bytes:
    """Name a body in an answer."""
    return sha256(body).hexdigest()[:16].encode()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Say which request this is; ``/early`` before its body is read."""
    body, status = b"", 401
    if scope["path"] != "/early":
        status, more = 200, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
    said = b"|".join((scope["method"].encode(), scope["path"].encode(), digest(body) if status == 200 else b""))
    length = str(len(said)).encode()
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": said})


def read_answers(heard: bytes) -> list[tuple[int, bytes, bytes, bytes]]:
    """Read every answer, as ``Stream.answers`` has them; one to go on sending a body is none of them."""
    answers = []
    while heard:
        head, _, rest = heard.partition(b"\r\n\r\n")
        status = int(head[9:12])
        if status == 100:
            heard = rest
            continue
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields[b"content-length"])
        said, heard = rest[:length], rest[length:]
        method, path, body = said.split(b"|") if status in {200, 401} else (b"", b"", b"")
        answers.append((status, method, path, body))
    return answers


class _Memory:
    """A transport that keeps what is written, and holds back what comes while reading is paused."""

    def __init__(self) -> None:
        self.written, self.waiting = b"", b""
        self.paused = self.closed = False
        self.protocol: Any = None

    def feed(self, data: bytes) -> None:
        self.waiting += data
        if not self.paused and not self.closed and self.waiting:
            data, self.waiting = self.waiting, b""
            self.protocol.data_received(data)

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        return default

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False
        asyncio.get_running_loop().call_soon(self.feed, b"")


class Listener:
    """A server's protocol for many connections that are made of memory."""

    def __init__(self) -> None:
        self._config = uvicorn.Config(application, http=TimedProtocol, lifespan="off", log_config=None)
        self._config.load()
        self._state = ServerState()

    async def hear(self, pieces: Sequence[bytes]) -> bytes:
        """Tell a new connection these pieces; return all that it answers."""
        protocol = TimedProtocol(config=self._config, server_state=self._state, app_state={})
        transport = _Memory()
        transport.protocol = protocol
        protocol.connection_made(transport)
        for piece in pieces:
            transport.feed(piece)
            await asyncio.sleep(0)
        idle = 0
        while idle < 6:
            idle = 0 if self._state.tasks else idle + 1
            await asyncio.sleep(0)
        protocol.connection_lost(None)
        return transport.written


async def check(seeds: Sequence[int]) -> list[str]:
    """Send the streams of these numbers, split at each octet; say what went wrong."""
    listener, wrong = Listener(), []
    for seed in seeds:
        stream = make(seed)
        for at in range(len(stream.octets)):
            heard = await listener.hear((stream.octets[:at], stream.octets[at:]))
            answers: object = None
            with suppress(ValueError, KeyError):
                answers = read_answers(heard)
            if answers != stream.answers:
                wrong.append(f"stream {seed} split at {at}: {stream.octets!r} gave {heard!r}, not {stream.answers}")
                break
    return wrong


def main() -> int:
    """Check as many streams as were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first stream")
    asked = parser.parse_args()
    wrong = uvloop.run(check(range(asked.first, asked.first + asked.cases)))
    print("\n".join(wrong[:10]))
    print(f"{asked.cases} streams, each split at every octet: {len(wrong)} went wrong.")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
