"""A server on a real socket that acts as its script says: drips, breaks off, floods, or answers well."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

Script = Callable[[socket.socket], None]


class ScriptedServer:
    """Runs ``script`` once for each request; ``requests`` holds what was asked, ``connections`` counts."""

    def __init__(self, script: Script, *, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self._context = context
        self.script = script
        self.requests: list[bytes] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # or it would go on listening for the thread that accepts
        self._listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """End every connection."""
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=[sock], daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        self._open.append(sock)
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            while request := _request(sock):
                self.requests.append(request)
                self.script(sock)
        except OSError:
            pass
        finally:
            sock.close()


def _request(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(status: str = "200 OK", body: bytes = b"ok", **headers: str) -> Script:
    """Answer whole and keep the connection."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join([*lines, "", ""]).encode() + body)


def raw(data: bytes, *, close: bool = False) -> Script:
    """Send these bytes; ``close`` ends the connection after them."""

    def script(sock: socket.socket) -> None:
        sock.sendall(data)
        if close:
            sock.shutdown(socket.SHUT_RDWR)

    return script


def drip(data: bytes, piece: bytes, stop: threading.Event, *, every: float = 0.05) -> Script:
    """Send ``data``, then ``piece`` now and then for ever."""

    def script(sock: socket.socket) -> None:
        sock.sendall(data)
        while not stop.wait(every):
            sock.sendall(piece)

    return script


def flood(data: bytes, piece: bytes) -> Script:
    """Send ``data``, then ``piece`` again and again as fast as it is taken."""

    def script(sock: socket.socket) -> None:
        sock.sendall(data)
        while True:
            sock.sendall(piece)

    return script


@contextmanager
def serving(script: Script, **options: object) -> Iterator[ScriptedServer]:
    """Serve for the block."""
    with ScriptedServer(script, **options) as server:  # type: ignore[arg-type]
        yield server
