"""An SMTP server that takes everything and keeps nothing, as fast as Python can.

``python -m tests.benchmarks.smtp_sink COUNT`` prints ``{"port": …}`` when it listens, and
``{"first": …, "last": …}`` (seconds of the system's clock) for every COUNT messages, and ``{"name": …, "at": …}`` for
each message that carries ``@@name@@``.
"""

import asyncio
import json
import sys
import time
from typing import cast

import uvloop


class Sink(asyncio.Protocol):
    """Answers each command, in groups where the client sends several at once."""

    def __init__(self, counted: "Counter") -> None:
        self._counted = counted
        self._buffer = bytearray()
        self._in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is none of asyncio's
        self._transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answers: list[bytes] = []
        while self._step(answers):
            pass
        if answers:
            self._transport.write(b"".join(answers))

    def _step(self, answers: list[bytes]) -> bool:
        ending = b"\r\n.\r\n" if self._in_data else b"\r\n"
        end = self._buffer.find(ending)
        if end < 0:
            return False
        verb = bytes(self._buffer[:4]).upper()
        if self._in_data and (mark := self._buffer.find(b"@@", 0, end)) >= 0:
            self._counted.named(bytes(self._buffer[mark + 2 : self._buffer.find(b"@@", mark + 2)]).decode())
        del self._buffer[: end + len(ending)]
        if self._in_data:
            self._in_data = False
            self._counted.one()
            answers.append(b"250 2.0.0 kept\r\n")
        elif verb == b"EHLO":
            answers.append(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 50000000\r\n")
        elif verb == b"DATA":
            self._in_data = True
            answers.append(b"354 go on\r\n")
        elif verb == b"QUIT":
            self._transport.write(b"".join(answers) + b"221 bye\r\n")
            self._transport.close()
            return False
        else:
            answers.append(b"250 2.0.0 fine\r\n")
        return True


class Counter:
    """Counts messages and tells when each group of ``size`` began and ended."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._count = 0
        self._first = 0.0

    def named(self, name: str) -> None:
        """Tell when a message that carries a name was answered."""
        print(json.dumps({"name": name, "at": time.time()}), flush=True)

    def one(self) -> None:
        """Count a message."""
        if self._count == 0:
            self._first = time.time()
        self._count += 1
        if self._count == self._size:
            print(json.dumps({"first": self._first, "last": time.time()}), flush=True)
            self._count = 0


async def main(size: int) -> None:
    """Serve until the process is stopped."""
    counter = Counter(size)
    server = await asyncio.get_running_loop().create_server(lambda: Sink(counter), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
