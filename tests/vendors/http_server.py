"""A real HTTP server on a free loopback port that can misbehave; each vendor's own server is built on it."""

import json
import socket
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

HOST = "127.0.0.1"
FLOOD = 10 * 1024 * 1024

Fault = Literal["hang", "trickle", "garbage", "close", "cut", "flood"]


@dataclass(frozen=True)
class Seen:
    """A request as it came; names of headers are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """An answer; a body that is not bytes goes out as JSON."""

    status: int
    body: object = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def octets(self) -> bytes:
        """The body as it goes out."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class HttpServer:
    """A server in threads of its own; a context manager.

    ``respond`` answers each request. ``fault`` makes it misbehave instead, after the request has come: ``hang``
    (never answers), ``trickle`` (an octet now and then), ``garbage`` (no HTTP), ``close`` (without an answer), ``cut``
    (in the middle of the body), ``flood`` (a good answer with a body of 10 MiB). ``faults`` bounds how often.
    """

    def __init__(self, respond: Callable[[Seen], Reply]) -> None:
        self.respond = respond
        self.seen: list[Seen] = []
        self.fault: Fault | None = None
        self.faults: int | None = None
        self.flooded = 0
        self.over = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        server = self

        class Handler(_Handler):
            home = server

        self._http = ThreadingHTTPServer((HOST, 0), Handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self.port: int = self._http.server_address[1]
        self.host_port = f"{HOST}:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self.over.is_set():
            return
        self.over.set()
        self._http.shutdown()
        self._http.server_close()
        with self._lock:
            for one in self._sockets:
                _drop(one)

    def opened(self, one: socket.socket) -> None:
        """Remember a connection."""
        with self._lock:
            self._sockets.add(one)

    def take(self, seen: Seen) -> Fault | None:
        """Note a request, and tell how to misbehave at it."""
        with self._lock:
            self.seen.append(seen)
            if self.fault is None or self.faults == 0:
                return None
            if self.faults is not None:
                self.faults -= 1
            return self.fault


def _drop(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


class _Handler(BaseHTTPRequestHandler):
    """Reads requests and writes what the home says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    home: HttpServer

    def setup(self) -> None:
        super().setup()
        self.home.opened(self.connection)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, parts.path, parts.query, headers, self.rfile.read(size))
        fault = self.home.take(seen)
        try:
            self._misbehave(fault, seen) if fault else self._write(self.home.respond(seen))
        except OSError:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - the names are the library's

    def _write(self, reply: Reply) -> None:
        body = reply.octets
        self.wfile.write(self._head(reply, len(body)) + body)

    def _head(self, reply: Reply, size: int) -> bytes:
        kind = "text/plain" if isinstance(reply.body, bytes) else "application/json"
        fields = {"Content-Type": kind, "Content-Length": str(size), **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} Said", *(f"{name}: {value}" for name, value in fields.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def _misbehave(self, fault: Fault, seen: Seen) -> None:
        self.close_connection = True
        match fault:
            case "hang":
                self.home.over.wait()
            case "trickle":
                for octet in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"." * 10_000:
                    self.wfile.write(bytes([octet]))
                    if self.home.over.wait(0.02):
                        return
            case "garbage":
                self.wfile.write(b"\x16\x03\x01\x00 what is this?\r\n" * 20)
            case "close":
                return
            case "cut":
                reply = self.home.respond(seen)
                self.wfile.write(self._head(reply, len(reply.octets) + 1000) + reply.octets[: len(reply.octets) // 2])
            case "flood":
                self._flood(self.home.respond(seen))

    def _flood(self, reply: Reply) -> None:
        self.wfile.write(self._head(reply, FLOOD))
        for _ in range(FLOOD // 65536):
            self.wfile.write(b"{" * 65536)
            self.home.flooded += 65536


class Refusal(Exception):
    """A request that the vendor refuses, with its answer."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class VendorServer(ABC):
    """A vendor with one way of taking messages; each vendor says how it reads, takes and refuses them.

    ``scripted`` holds answers for a recipient, used up one after the other; ``refusals`` those that never change.
    """

    address: str

    def __init__(self) -> None:
        self.http = HttpServer(self.respond)
        self.scripted: dict[str, list[Reply]] = {}
        self.refusals: dict[str, Reply] = {}
        self.taken: list[Any] = []
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self.http.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.stop()

    def respond(self, seen: Seen) -> Reply:
        """Answer one request."""
        try:
            recipient, message = self.read(seen)
        except Refusal as refusal:
            return refusal.reply
        if recipient in self.refusals:
            return self.refusals[recipient]
        if self.scripted.get(recipient):
            return self.scripted[recipient].pop(0)
        self.taken.append(message)
        return self.accept()

    @abstractmethod
    def read(self, seen: Seen) -> tuple[str, Any]:
        """Return the recipient and the message of a request; raise ``Refusal`` for what is wrong with it."""

    @abstractmethod
    def accept(self) -> Reply:
        """Return the answer to the last of ``taken``."""

    @abstractmethod
    def error(self, status: int, code: str = "", words: str = "") -> Reply:
        """Return an error in the vendor's form."""

    # What the contract of all providers asks of a server of each kind.

    def refuse(self, recipient: str) -> None:
        """Refuse a recipient for good."""
        self.refusals[recipient] = self.error(400, "", "no such recipient")

    def put_off(self, recipient: str) -> None:
        """Refuse a recipient once, for a moment."""
        self.scripted[recipient] = [self.error(408, "", "come again")]

    def lose_answer(self) -> None:
        """Take the next message and say nothing."""
        self.http.fault = "close"

    def stop(self) -> None:
        """Be gone."""
        self.http.stop()

    def received(self) -> int:
        """Return how many messages were taken."""
        return len(self.taken)
