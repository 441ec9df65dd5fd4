"""A real SMTP server on a free loopback port, with behaviours that tests script.

In a test: ``with SmtpServer() as server: …``. As a process of its own, for kill tests and benchmarks:
``python -m tests.smtp_server --port 0 --maildir DIR`` prints ``{"host": …, "port": …}`` and stores each
message as one file that begins with its envelope in ``X-Envelope-From`` and ``X-Envelope-To`` lines.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import ssl
import tempfile
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import quote

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.patience import patient

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Received:
    """One accepted message: its envelope and its octets as they came, dots unstuffed."""

    envelope_from: str
    envelope_to: str
    content: bytes

    @cached_property
    def parsed(self) -> EmailMessage:
        """The message as the standard library reads it."""
        return message_from_bytes(self.content, policy=policy.default)


@dataclass
class Script:
    """How the server misbehaves; change it at any time, it counts from the next command on.

    ``replies`` answers RCPT for an address for ever, ``greylist`` the first n times; ``on_content`` answers the
    final dot. ``drop`` closes the connection at ``mail``, ``rcpt``, ``data`` (in the middle of the content) or
    ``final`` (after the final dot, before the answer, the message being kept). ``hang`` never answers at
    ``greeting``, ``mail``, ``rcpt`` or ``final``. ``drop_times`` bounds how often it drops. After ``per_session``
    messages in one session it answers each command of a transaction with ``no_more``. ``helo_only`` knows no EHLO.
    Of ``rate``, a number of messages and of seconds, it takes so many within so long; ``senders`` answers MAIL of one.
    """

    greeting: str | None = None
    replies: dict[str, str] = field(default_factory=dict)
    greylist: dict[str, int] = field(default_factory=dict)
    on_mail: str | None = None
    on_content: str | None = None
    drop: str | None = None
    drop_times: int | None = None
    hang: str | None = None
    per_session: int | None = None
    no_more: str = "452 4.5.3 Too many messages sent"
    helo_only: bool = False
    rate: tuple[int, float] | None = None
    too_many: str = "454 4.7.0 Throttling failure: Maximum sending rate exceeded."
    senders: dict[str, str] = field(default_factory=dict)


class _Protocol(SMTP):
    """aiosmtpd's protocol with the script's behaviours at the places its handlers cannot reach."""

    def __init__(self, server: "SmtpServer", **options: Any) -> None:
        super().__init__(server, **options)
        # aiosmtpd knows only of TLS that it started itself, and warns of authentication without it.
        self._auth_require_tls = server.tls == "starttls"
        self._server = server
        self.taken = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        first_on_this_socket = self.transport is None  # STARTTLS makes the connection a second time
        super().connection_made(transport)
        if first_on_this_socket:
            self._server.connected(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._server.disconnected(self)
        super().connection_lost(error)

    async def _handle_client(self) -> None:
        script = self._server.script
        if script.hang == "greeting":
            await self._server.for_ever()
        if script.greeting is not None:
            await self.push(script.greeting)
            if self.transport is not None:
                self.transport.close()
            return
        await super()._handle_client()

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - the names are aiosmtpd's
        if self.envelope and self.envelope.rcpt_tos and self._server.takes_drop("data"):
            await self.push("354 go on")
            await self._reader.read(16)
            self.abort()
            return
        await super().smtp_DATA(arg)

    async def smtp_MAIL(self, arg: str) -> None:  # noqa: N802
        limit = self._server.script.per_session
        if limit is not None and self.taken >= limit:
            await self.push(self._server.script.no_more)
            return
        await super().smtp_MAIL(arg)

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        if self._server.script.helo_only:
            await self.push("502 5.5.1 command not implemented")
            return
        await super().smtp_EHLO(hostname)

    async def smtp_RSET(self, arg: str) -> None:  # noqa: N802
        self._server.resets += 1
        await super().smtp_RSET(arg)

    def abort(self) -> None:
        """Drop the connection without a word."""
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()


class SmtpServer:
    """The server in a thread of its own; a context manager.

    ``tls`` is none, starttls or tls (with a throw-away authority); ``credentials`` are a user and a password
    without which nothing is taken; ``size`` is the limit it advertises; ``names`` are the certificate's.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        tls: str = "none",
        credentials: tuple[str, str] | None = None,
        size: int | None = None,
        utf8: bool = False,
        names: tuple[str, ...] = (HOST, "localhost"),
        maildir: Path | None = None,
    ) -> None:
        self.host, self.port, self.tls, self.credentials = HOST, port, tls, credentials
        self.script = Script()
        self.messages: list[Received] = []
        self.connections = 0
        self.resets = 0
        self.refusals = 0
        self._taken_at: deque[float] = deque()
        self._size, self._utf8, self._maildir = size, utf8, maildir
        self._condition = threading.Condition()
        self._open: set[_Protocol] = set()
        self._seen: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._stack = contextlib.ExitStack()
        self._context = self._certificate(names) if tls != "none" else None
        self._thread = threading.Thread(target=self._run, name="smtp-server", daemon=True)
        self._ready = threading.Event()

    @property
    def address(self) -> str:
        """The provider address that reaches this server, with credentials and authority where needed."""
        who = ":".join(quote(part, safe="") for part in self.credentials or ())
        options = f"?tls={self.tls}" + (f"&ca={quote(self.authority)}" if self._context else "")
        return f"smtp://{who}{'@' if who else ''}{self.host}:{self.port}{options}"

    def wait_for(self, count: int, timeout: float = 10) -> list[Received]:
        """Return the messages once there are at least ``count``; fail after ``timeout`` seconds of an idle machine."""
        with self._condition:
            if not self._condition.wait_for(lambda: len(self.messages) >= count, patient(timeout)):
                raise AssertionError(f"{len(self.messages)} of {count} messages came in {timeout} s")
            return list(self.messages)

    def drop_connections(self) -> None:
        """Close every open connection, as a server does with idle ones, and return when that is done."""
        with self._condition:
            protocols = list(self._open)
        for protocol in protocols:
            self._loop.call_soon_threadsafe(protocol.abort)
        with self._condition:
            self._condition.wait_for(lambda: not self._open.intersection(protocols), 5)

    def say(self, line: str) -> None:
        """Say something on every open connection that nobody has asked for, and return when that is done."""
        with self._condition:
            protocols = list(self._open)
        for protocol in protocols:
            asyncio.run_coroutine_threadsafe(protocol.push(line), self._loop).result(5)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the SMTP server did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._stack.close()

    def _certificate(self, names: tuple[str, ...]) -> ssl.SSLContext:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="smtp-ca-")))
        authority = trustme.CA()
        self.authority = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.authority)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(*names).configure_cert(context)
        return context

    def _protocol(self) -> _Protocol:
        options: dict[str, Any] = {"enable_SMTPUTF8": self._utf8, "hostname": "mail.test", "loop": self._loop}
        if self._size is not None:
            options["data_size_limit"] = self._size
        if self.tls == "starttls":
            options |= {"tls_context": self._context, "require_starttls": True}
        if self.credentials is not None:
            options |= {"authenticator": self._authenticate, "auth_required": True}
        return _Protocol(self, **options)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        context = self._context if self.tls == "tls" else None
        listening = self._loop.run_until_complete(
            self._loop.create_server(self._protocol, self.host, self.port, ssl=context)
        )
        self.port = listening.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        listening.close()
        for protocol in list(self._open):
            protocol.abort()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self.credentials, handled=False)

    # What the protocol tells and asks; all of it runs in the server's thread.

    def connected(self, protocol: _Protocol) -> None:
        """Count a connection."""
        with self._condition:
            self.connections += 1
            self._open.add(protocol)

    def disconnected(self, protocol: _Protocol) -> None:
        """Forget a connection."""
        with self._condition:
            self._open.discard(protocol)
            self._condition.notify_all()

    def takes_drop(self, step: str) -> bool:
        """Say whether the connection is to be dropped here, and count it."""
        if self.script.drop != step or self.script.drop_times == 0:
            return False
        if self.script.drop_times is not None:
            self.script.drop_times -= 1
        return True

    async def for_ever(self) -> None:
        """Hang until the server is stopped."""
        await asyncio.Event().wait()

    async def _disturb(self, step: str, server: _Protocol) -> None:
        if self.script.hang == step:
            await self.for_ever()
        if self.takes_drop(step):
            server.abort()
            await self.for_ever()

    async def handle_MAIL(  # noqa: N802
        self, server: _Protocol, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take the sender, or answer as scripted."""
        await self._disturb("mail", server)
        if self.script.on_mail is not None:
            return self.script.on_mail
        if address in self.script.senders:
            return self.script.senders[address]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: _Protocol, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take the recipient, or answer as scripted for it."""
        await self._disturb("rcpt", server)
        if address in self.script.replies:
            return self.script.replies[address]
        if address in self.script.greylist:
            self._seen[address] += 1
            if self._seen[address] <= self.script.greylist[address]:
                return "451 4.7.1 greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802
        self, server: _Protocol, _session: Session, envelope: Envelope
    ) -> str:
        """Keep the message and answer, or lose the connection first."""
        if self.script.on_content is not None:
            return self.script.on_content
        if not self._within_rate():
            self.refusals += 1
            return self.script.too_many
        number = next(self._numbers)
        server.taken += 1
        self._keep(number, envelope)
        await self._disturb("final", server)
        return f"250 2.0.0 OK: queued as {number}"

    def _within_rate(self) -> bool:
        if self.script.rate is None:
            return True
        most, seconds = self.script.rate
        now = self._loop.time()
        while self._taken_at and self._taken_at[0] <= now - seconds:
            self._taken_at.popleft()
        if len(self._taken_at) >= most:
            return False
        self._taken_at.append(now)
        return True

    def _keep(self, number: int, envelope: Envelope) -> None:
        content = cast("bytes", envelope.original_content)
        received = Received(envelope.mail_from or "", ", ".join(envelope.rcpt_tos), content)
        if self._maildir is not None:
            # Written under another name first, so that a reader never sees half a message.
            draft = self._maildir / f".{os.getpid()}-{number:08d}"
            lines = f"X-Envelope-From: {received.envelope_from}\r\nX-Envelope-To: {received.envelope_to}\r\n"
            draft.write_bytes(lines.encode() + content)
            draft.rename(self._maildir / f"{os.getpid()}-{number:08d}.eml")
        with self._condition:
            if self._maildir is None:
                self.messages.append(received)
            self._condition.notify_all()


def main() -> None:
    """Serve until the process is stopped."""
    parser = argparse.ArgumentParser(description="A sink for mail on the loopback interface.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--maildir", type=Path, required=True, help="one file for each message")
    arguments = parser.parse_args()
    arguments.maildir.mkdir(parents=True, exist_ok=True)
    with SmtpServer(port=arguments.port, maildir=arguments.maildir) as server:
        print(json.dumps({"host": server.host, "port": server.port, "address": server.address}), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
