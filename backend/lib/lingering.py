"""A transport that is closed slowly while its peer is still sending, so that the last answer reaches the peer.

A socket that is closed with octets unread resets its connection, and the peer's system then throws away what it had
received and not yet read: the answer. So the way out is closed first, and what still comes is read and thrown away
until the peer closes too: bounded in size, in time, and in how long nothing may come (as nginx's lingering close).
"""

import asyncio
from typing import Any


class LingeringTransport:
    """What a server asks of a connection's transport; ``close`` reads on when ``more_may_come`` was said."""

    # nginx's own limits of time: lingering_time and lingering_timeout.
    SECONDS = 30.0
    SILENT_SECONDS = 5.0
    # Several times what a proxy lets through at the most in usual configurations.
    BYTES = 256 * 1024 * 1024

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._paused = False
        self._until = self._heard = 0.0
        self._thrown_away = 0
        self._watch: asyncio.TimerHandle | None = None
        self.more_may_come = False
        self.lingering = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell what the transport knows of its socket."""
        return self._transport.get_extra_info(name, default)

    def write(self, data: bytes) -> None:
        """Send, unless the way out is closed."""
        if not self.lingering:
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
        self._transport.close()

    def _look(self) -> None:
        """Wait for as long as the peer still has."""
        ends = min(self._until, self._heard + self.SILENT_SECONDS)
        if ends <= self._loop.time():
            self.end()
        else:
            self._watch = self._loop.call_at(ends, self._look)
