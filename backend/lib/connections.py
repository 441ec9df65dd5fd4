"""Connections of the web process: a client that sends by drips, or heads without end, is cut off and holds nothing.

The server has a limit for idle connections alone; heads and bodies it would wait for as long as the client likes, and
it would keep any number of header lines, of any length. What never becomes a request is answered here, as a problem
like any other (RFC 9457), after the requests before it, and the connection closed.

Of the other servers tried (granian, hypercorn, and this one with h11), all read the body behind an offer to upgrade
rightly. But each lost every early answer on a connection that closes, and none says a problem or counts the time of a
body; this server lets its parser and its transport be chosen, so that both are mended outside of it.
"""

import asyncio
import sys
from http import HTTPStatus
from typing import Any

import msgspec
from httptools import HttpParserInvalidMethodError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from backend.lib.http import catalogue_url
from backend.lib.problems import MEDIA_TYPE, Problem, details
from backend.lib.request_parser import RequestParser

_TIMEOUT = Problem("request_timeout", "The request did not come whole in the time that it may take.")
_TOO_MUCH = Problem("head_too_large", "The request has more than 64 KiB before its body or between its pieces.")
_NO_METHOD = Problem("not_implemented", "The request does not begin with a method that the server knows.")
_NO_REQUEST = Problem("invalid_request", "What was sent cannot be read as a request of HTTP/1.1.")


# A transport that is closed slowly while its peer is still sending, so that the last answer reaches the peer.
#
# A socket that is closed with octets unread resets its connection, and the peer's system then throws away what it had
# received and not yet read: the answer. So the way out is closed first, and what still comes is read and thrown away
# until the peer closes too: bounded in size, in time, and in how long nothing may come (as nginx's lingering close).
#
# What is written in one turn of the event loop is sent as one: the server writes the head of an answer and its body
# apart, and the event loop would send each at once, as a segment of its own.


class LingeringTransport:
    """What a server asks of a connection's transport; ``close`` reads on when ``more_may_come`` was said."""

    # nginx's own limits of time: lingering_time and lingering_timeout.
    SECONDS = 30.0
    SILENT_SECONDS = 5.0
    # Several times what a proxy lets through at the most in usual configurations.
    BYTES = 256 * 1024 * 1024
    # More is sent before the turn ends, so that the transport can say to its writer that the peer is slow.
    BYTES_OF_A_TURN = 64 * 1024

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._paused = False
        self._until = self._heard = 0.0
        self._thrown_away = 0
        self._written: list[bytes] = []
        self._bytes_written = 0
        self._watch: asyncio.TimerHandle | None = None
        self.more_may_come = False
        self.lingering = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell what the transport knows of its socket."""
        return self._transport.get_extra_info(name, default)

    def write(self, data: bytes) -> None:
        """Send at the end of this turn of the event loop, unless the way out is closed."""
        if self.lingering:
            return
        if not self._written:
            self._loop.call_soon(self._send)
        self._written.append(data)
        self._bytes_written += len(data)
        if self._bytes_written > self.BYTES_OF_A_TURN:
            self._send()

    def _send(self) -> None:
        data, self._bytes_written = b"".join(self._written), 0
        self._written.clear()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def pause_reading(self) -> None:
        """Let the peer wait, unless all that it sends is thrown away."""
        self._paused = True
        if not self.lingering:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._paused = False
        if not self.lingering:
            self._transport.resume_reading()

    def is_closing(self) -> bool:
        """Tell whether nothing more can be sent."""
        return self.lingering or bool(self._transport.is_closing())

    def close(self) -> None:
        """Send what is written and close; read on while the peer may be sending."""
        if self.is_closing():
            return
        self._send()
        if not (self.more_may_come or self._paused) or not self._transport.can_write_eof():
            self._transport.close()
            return
        self.lingering = True
        self._transport.write_eof()
        if self._paused:
            self._transport.resume_reading()
        self._heard = self._loop.time()
        self._until = self._heard + self.SECONDS
        self._look()

    def throw_away(self, data: bytes) -> None:
        """Take what comes after the close."""
        self._thrown_away += len(data)
        self._heard = self._loop.time()
        if self._thrown_away > self.BYTES:
            self.end()

    def end(self) -> None:
        """Close at once, or finish: the peer has closed, or has had its time."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._send()
        self._transport.close()

    def _look(self) -> None:
        """Wait for as long as the peer still has."""
        ends = min(self._until, self._heard + self.SILENT_SECONDS)
        if ends <= self._loop.time():
            self.end()
        else:
            self._watch = self._loop.call_at(ends, self._look)


class TimedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with a deadline for each request to have come: its head, and its body by its length."""

    HEAD_SECONDS = 20.0
    BODY_SECONDS = 60.0
    # A long body has more time, as long as it comes at this rate.
    BYTES_PER_SECOND = 64 * 1024
    # For all that is no body: the head, what chunks say of themselves, and what follows the last of them.
    MOST_HEAD = 64 * 1024
    # A chunk of one octet takes six on the wire.
    FRAMING = 8

    # When the server stops: as much as a request may take that was sent before its client could know.
    LEAVING_SECONDS = 1.0

    _deadline: asyncio.TimerHandle | None = None
    _began = 0.0
    _received = 0
    _of_body = 0
    _in_body = False
    # Requests whose head is here and whose answer is not complete.
    _unanswered = 0
    _refusal: Problem | None = None
    _leaving = False
    transport: Any
    parser: Any

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.parser = RequestParser(self)

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(LingeringTransport(transport, self.loop))  # type: ignore[arg-type]
        self._begin()

    def data_received(self, data: bytes) -> None:
        """Count what comes."""
        if self.transport.lingering:
            self.transport.throw_away(data)
            return
        self._received += len(data)
        if self._refusal is not None:
            return
        super().data_received(data)
        if self._deadline is None:
            if self.timeout_keep_alive_task is None and not self._unanswered and not self.transport.is_closing():
                self._begin()  # an empty line, say, has ended the wait for the next request
        elif self._received > self.MOST_HEAD + self.FRAMING * self._of_body:
            self._refuse(_TOO_MUCH)

    def on_message_begin(self) -> None:
        """Begin the next request on a connection that is kept."""
        super().on_message_begin()
        self.transport.more_may_come = True
        if self._deadline is None:
            self._begin()

    def on_headers_complete(self) -> None:
        """Go on to the body."""
        super().on_headers_complete()
        if self._leaving:
            self.cycle.keep_alive = False
        self._in_body = True
        self._unanswered += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a line of the head; those that follow a body in chunks are of use to nobody (RFC 9110, section 6.5)."""
        if not self._in_body:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Count what is of use."""
        self._of_body += len(body)
        if self.cycle.response_complete and self._of_body > LingeringTransport.BYTES:
            self.transport.end()  # it was answered long ago
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the wait: the request is here."""
        self._end()
        self._in_body = self.transport.more_may_come = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on to the next request, or to the refusal of what stands in its place."""
        self._unanswered -= 1
        super().on_response_complete()
        if self._refusal is not None and not self._unanswered:
            self._say_refusal()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the server's signature
        """Answer what is no request; the server calls this while it handles what its parser has raised."""
        self._refuse(_NO_METHOD if isinstance(sys.exception(), HttpParserInvalidMethodError) else _NO_REQUEST)

    def shutdown(self) -> None:
        """Close when the present request is answered; whoever is only listened to has had enough time.

        Where none is present, one may be on its way: it has a moment to come, and its answer says that it was the last.
        """
        self._leaving = True
        if self.transport.lingering:
            self.transport.end()
        elif self._unanswered or self._refusal is not None:
            super().shutdown()
        else:
            self.loop.call_later(self.LEAVING_SECONDS, self._leave)

    def _leave(self) -> None:
        if not self._unanswered:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the wait with the connection."""
        self._end()
        self.transport.end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        self._began, self._received, self._of_body, self._in_body = self.loop.time(), 0, 0, False
        self._deadline = self.loop.call_later(self.HEAD_SECONDS, self._look)

    def _end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _look(self) -> None:
        """Cut the client off, unless there is time left for what it is at."""
        allowed = self.HEAD_SECONDS
        if self._in_body:
            allowed += self.BODY_SECONDS + self._received / self.BYTES_PER_SECOND
        left = self._began + allowed - self.loop.time()
        if left > 0:
            self._deadline = self.loop.call_later(left, self._look)
        else:
            self._refuse(_TIMEOUT)

    def _refuse(self, why: Problem) -> None:
        """Read no more, and answer what has come in the place of a request when those before it are answered."""
        self._end()
        if self.transport.is_closing() or self._refusal is not None:
            return
        self._refusal = why
        self.transport.more_may_come = True
        if self._in_body:
            self._drop_half_request()
        if not self._unanswered:
            self._say_refusal()

    def _drop_half_request(self) -> None:
        """Take back the request whose body is refused; one that was or is being answered gets no second answer."""
        if self.cycle.response_complete:
            self.transport.close()
            return
        self._unanswered -= 1
        if self.pipeline and self.pipeline[0][0] is self.cycle:
            self.pipeline.popleft()
            return
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        if self.cycle.response_started:
            self.transport.close()

    def _say_refusal(self) -> None:
        if self._refusal is not None and not self.transport.is_closing():
            self.transport.write(_answer(self._refusal))
            self.transport.close()


def _answer(problem: Problem) -> bytes:
    """Write a whole answer, after which the connection is closed."""
    body = msgspec.json.encode(details(problem, catalogue_url()))
    status = HTTPStatus(problem.entry.status)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(body)}",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + body
