"""One connection that is done by a fixed moment and reads no more than it may, however the other side acts."""

import io
import select
import socket
import ssl
import time
from collections.abc import Sequence
from http.client import HTTPConnection

# One address of several that does not answer must not take all the time.
_CONNECT_SECONDS = 5.0
_PIECE = 64 * 1024


class TooMuch(OSError):
    """The other side sent more than was allowed."""


class Wire:
    """A connected socket, as ``http.client`` uses one, with a deadline and a budget of bytes for each exchange.

    A socket's own timeout is for one call: a side that sends one byte now and then would never reach it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.deadline = 0.0
        self.budget = 0
        self.used_at = time.monotonic()

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: if there are none.
        """
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the time was up")
        return seconds

    def sendall(self, data: bytes) -> None:
        """Send everything before the deadline."""
        view = memoryview(data)
        while view:
            self.sock.settimeout(self.left())
            view = view[self.sock.send(view[:_PIECE]) :]

    def makefile(self, _mode: str = "rb") -> io.BufferedReader:
        """Return a reader for one answer, as ``http.client`` asks for."""
        return io.BufferedReader(_Reader(self))

    def silent(self) -> bool:
        """Tell whether nothing has come unasked, the end of the connection included."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Do nothing: ``http.client`` lets go of a connection as soon as it knows that its answer is the last."""

    def shut(self) -> None:
        """Close the socket."""
        self.sock.close()


class _Reader(io.RawIOBase):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # io says any buffer, and gives this
        if self._wire.budget <= 0:
            raise TooMuch("the answer is too large")
        self._wire.sock.settimeout(self._wire.left())
        count = self._wire.sock.recv_into(buffer)
        self._wire.budget -= count
        return count


class Exchange(HTTPConnection):
    """``http.client`` over a wire that is there already: it knows the host's name, but never looks it up."""

    auto_open = 0

    def __init__(self, host: str, port: int, default_port: int, wire: Wire) -> None:
        super().__init__(host, port)
        # The Host header leaves out the port that goes without saying.
        self.default_port = default_port
        self.sock = wire  # all of a socket that http.client uses
        self.wire = wire


def connect(addresses: Sequence[str], port: int, deadline: float) -> socket.socket:
    """Connect to the first of these numeric addresses that answers.

    Raises:
        OSError: of the last address, if none does.
    """
    fault: OSError = TimeoutError("the time was up")
    for address in addresses:
        seconds = min(_CONNECT_SECONDS, deadline - time.monotonic())
        if seconds <= 0:
            break
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(seconds)
            sock.connect((address, port))
        except OSError as error:
            sock.close()
            fault = error
        else:
            return sock
    raise fault


def secure(sock: socket.socket, context: ssl.SSLContext, host: str, deadline: float) -> socket.socket:
    """Put TLS on a connection, checked against the host's name.

    Raises:
        OSError: if the handshake fails; the connection is then closed.
    """
    try:
        sock.settimeout(max(deadline - time.monotonic(), 0.001))
        # A handshake's timeout holds for each of its reads, so it is driven by hand.
        secured = context.wrap_socket(sock, server_hostname=host.rstrip("."), do_handshake_on_connect=False)
        _shake_hands(secured, deadline)
    except OSError:
        sock.close()
        raise
    return secured


def _shake_hands(secured: ssl.SSLSocket, deadline: float) -> None:
    secured.setblocking(False)
    while True:
        try:
            secured.do_handshake()
        except ssl.SSLWantReadError:
            wanted = select.POLLIN
        except ssl.SSLWantWriteError:
            wanted = select.POLLOUT
        else:
            return
        poll = select.poll()
        poll.register(secured, wanted)
        if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
            raise TimeoutError("the time was up")
