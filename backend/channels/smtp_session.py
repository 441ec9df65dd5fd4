"""One session with an SMTP server: connect, secure, sign in, then one transaction after the other."""

import contextlib
import ipaddress
import smtplib
import socket
import ssl
from collections.abc import Container, Iterator
from time import monotonic
from typing import NoReturn

import msgspec

from backend.channels.base import Outcome, ProviderError
from backend.channels.smtp_replies import SESSION_STEPS, Reply, Step, error, reply

_COMPLETED = range(200, 300)  # replies 2yz: the requested action is completed


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds that a server is waited for.

    ``connect`` covers each address, its TLS handshake and the greeting; ``exchange`` everything from there to
    the final dot together; ``final`` the answer to the final dot, which RFC 5321 section 4.5.3.2.6 wants to be
    10 minutes, because giving up early sends a message twice.
    """

    connect: float = 10
    exchange: float = 60
    final: float = 600


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a mail server; ``tls`` is none, starttls or tls, and ``context`` is there unless none."""

    host: str
    port: int
    tls: str
    context: ssl.SSLContext | None
    credentials: tuple[str, str] | None
    timeouts: Timeouts

    def __repr__(self) -> str:
        return f"Server({self.host!r}, {self.port!r}, tls={self.tls!r})"


class Envelope(msgspec.Struct, frozen=True):
    """Who sends to whom: two bare addresses."""

    sender: str
    recipient: str

    @property
    def is_ascii(self) -> bool:
        """Whether servers without SMTPUTF8 (RFC 6531) can take it."""
        return self.sender.isascii() and self.recipient.isascii()


class Closed(Exception):
    """The session ended at a step: by a 421 reply, by loss of the connection, or by a time-out."""

    def __init__(self, step: Step, answer: Reply | None = None, *, timed_out: bool = False) -> None:
        super().__init__(step)
        self.step = step
        self.answer = answer
        self.timed_out = timed_out

    @property
    def nothing_sent(self) -> bool:
        """Whether the server was merely gone before it heard anything of the message's content."""
        return not self.timed_out and self.step in {Step.MAIL, Step.RCPT, Step.DATA}

    def error(self) -> ProviderError:
        """Return what this means for the message under way."""
        if self.answer is not None:
            return error(self.answer, self.step)
        # The server acts on the final dot. Lost before it: nothing was taken. Lost after it: nobody knows.
        outcome = Outcome.AMBIGUOUS if self.step is Step.CONTENT else Outcome.RETRY
        what = "no answer in time" if self.timed_out else "the connection was lost"
        down = self.timed_out or self.step not in {Step.BODY, Step.CONTENT}
        return ProviderError(outcome, f"{what} at {self.step}", route_down=down)


class Session:
    """An SMTP session that is ready for transactions.

    ``deadline`` values are moments of ``time.monotonic()`` by which everything but the last answer must be
    done. Every method raises ``Closed`` when the session is over and ``ProviderError`` when it is refused.
    """

    def __init__(self, server: Server, deadline: float) -> None:
        self._server = server
        self._client = self._connect(deadline)
        try:
            self._hello(deadline)
            if server.tls == "starttls":
                self._starttls(deadline)
                self._hello(deadline)
            if server.credentials is not None:
                self._sign_in(server.credentials, deadline)
        except BaseException:
            self._client.close()
            raise

    def submit(self, envelope: Envelope, content: bytes, deadline: float) -> Reply:
        """Carry out one transaction and return the server's acceptance; after a refusal all is reset."""
        if not envelope.is_ascii and not self._client.has_extn("smtputf8"):
            raise ProviderError(
                Outcome.PERMANENT, "the mail server takes ASCII addresses only (no SMTPUTF8)", code="5.6.7"
            )
        try:
            self._envelope(envelope, len(content), deadline)
            self._command(Step.DATA, "DATA", deadline, accepted={354})
            return self._content(content, deadline)
        except ProviderError:
            self._reset(deadline)
            raise

    def quit(self) -> None:
        """End the session politely within a second or so; never raises."""
        with contextlib.suppress(OSError):
            if self._client.sock is not None:
                self._client.sock.settimeout(1)
                self._client.quit()
        self._client.close()

    def _connect(self, deadline: float) -> smtplib.SMTP:
        server = self._server
        patience = max(0.001, min(server.timeouts.connect, deadline - monotonic()))
        # Any name given here keeps smtplib from a DNS look-up of its own, which can take long.
        name = "localhost"
        try:
            client: smtplib.SMTP
            if server.tls == "tls":
                client = smtplib.SMTP_SSL(server.host, server.port, name, timeout=patience, context=server.context)
            else:
                client = smtplib.SMTP(server.host, server.port, name, timeout=patience)
        except smtplib.SMTPResponseException as fault:
            raise error(_reply_of(fault), Step.GREETING) from None
        except smtplib.SMTPServerDisconnected as fault:
            raise Closed(Step.GREETING, timed_out=_timed_out(fault)) from None
        except OSError as fault:
            raise _unreachable(server, fault) from None
        if client.sock is not None:
            # Without this a mail of several segments can wait 40 ms for the server's delayed ACK.
            client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.local_hostname = _own_name(client.sock)
        return client

    def _hello(self, deadline: float) -> None:
        with self._talking(Step.HELLO, deadline):
            code, text = self._client.ehlo()
            if code != 250:
                raise error(reply(code, text), Step.HELLO)

    def _starttls(self, deadline: float) -> None:
        if not self._client.has_extn("starttls"):
            raise _misconfigured("the mail server does not offer STARTTLS")
        with self._talking(Step.STARTTLS, deadline):
            try:
                self._client.starttls(context=self._server.context)
            except smtplib.SMTPException:
                raise
            except OSError as fault:
                raise _unreachable(self._server, fault) from None

    def _sign_in(self, credentials: tuple[str, str], deadline: float) -> None:
        with self._talking(Step.AUTH, deadline):
            try:
                self._client.login(*credentials)
            except smtplib.SMTPResponseException as fault:
                raise error(_reply_of(fault, credentials), Step.AUTH) from None
            except smtplib.SMTPServerDisconnected:
                raise
            except (smtplib.SMTPException, ValueError):
                # Their texts can hold what was to be sent, so they are not repeated.
                raise _misconfigured("the mail server offers no way of signing in that we know") from None

    def _envelope(self, envelope: Envelope, size: int, deadline: float) -> None:
        options = ""
        if self._client.has_extn("size"):
            limit = self._client.esmtp_features["size"]
            if limit.isdecimal() and 0 < int(limit) < size:
                raise ProviderError(
                    Outcome.PERMANENT,
                    f"the message has {size} octets, the mail server takes {limit}",
                    code="5.3.4",
                )
            options = f" SIZE={size}"
        if not envelope.is_ascii:
            options += " BODY=8BITMIME SMTPUTF8"
        self._client.command_encoding = "ascii" if envelope.is_ascii else "utf-8"
        self._command(Step.MAIL, f"MAIL FROM:<{envelope.sender}>{options}", deadline)
        self._command(Step.RCPT, f"RCPT TO:<{envelope.recipient}>", deadline)

    def _content(self, content: bytes, deadline: float) -> Reply:
        # A line that begins with a dot gets a second one (RFC 5321 section 4.5.2); the first is a header's.
        stuffed = content.replace(b"\r\n.", b"\r\n..")
        end = b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n"
        with self._talking(Step.BODY, deadline):
            self._client.send(stuffed + end)
        final = monotonic() + self._server.timeouts.final
        with self._talking(Step.CONTENT, final):
            answer = reply(*self._client.getreply())
            if answer.code not in _COMPLETED:
                self._refuse(answer, Step.CONTENT)
            return answer

    def _command(self, step: Step, line: str, deadline: float, accepted: Container[int] = _COMPLETED) -> None:
        with self._talking(step, deadline):
            code, text = self._client.docmd(line)
            if code not in accepted:
                self._refuse(reply(code, text), step)

    def _refuse(self, answer: Reply, step: Step) -> NoReturn:
        if 400 <= answer.code < 600 and answer.code != 421:
            raise error(answer, step)
        # 421, or an answer out of order: what the server would make of the next command is anyone's guess.
        self._client.close()
        raise Closed(step, answer)

    def _reset(self, deadline: float) -> None:
        try:
            self._command(Step.MAIL, "RSET", deadline)
        except (Closed, ProviderError):
            self._client.close()

    @property
    def is_open(self) -> bool:
        """Whether the connection has not been closed from our side."""
        return self._client.sock is not None

    @contextlib.contextmanager
    def _talking(self, step: Step, deadline: float) -> Iterator[None]:
        """Bound the step by the deadline and turn the ways of losing a connection into ``Closed``."""
        if self._client.sock is None:
            raise Closed(step)
        self._client.sock.settimeout(max(0.001, deadline - monotonic()))
        try:
            yield
        except smtplib.SMTPServerDisconnected as fault:
            raise Closed(step, timed_out=_timed_out(fault)) from None
        except smtplib.SMTPResponseException as fault:
            self._client.close()
            answer = _reply_of(fault)
            # Raised by smtplib's reader for a line without end, which is no reply at all.
            raise (error(answer, step) if step in SESSION_STEPS else Closed(step, Reply(-1, ""))) from None


def _reply_of(fault: smtplib.SMTPResponseException, secrets: tuple[str, ...] = ()) -> Reply:
    raw = fault.smtp_error
    return reply(fault.smtp_code, raw if isinstance(raw, bytes) else raw.encode(), secrets)


def _timed_out(fault: BaseException) -> bool:
    # smtplib hides the socket's exception behind its own.
    return isinstance(fault.__context__, TimeoutError)


def _misconfigured(detail: str) -> ProviderError:
    return ProviderError(Outcome.CONFIG, detail, route_down=True)


def _unreachable(server: Server, fault: OSError) -> ProviderError:
    """Return the error for a connection or TLS handshake that did not come about."""
    where = f"{server.host}:{server.port}"
    if isinstance(fault, ssl.SSLCertVerificationError):
        return _misconfigured(f"the certificate of {where} cannot be trusted: {fault.verify_message}")
    if isinstance(fault, ssl.SSLError) and not isinstance(fault, ssl.SSLEOFError):
        return _misconfigured(f"no TLS with {where}: {fault.reason or 'handshake failed'}")
    reason = "no answer in time" if isinstance(fault, TimeoutError) else (fault.strerror or "connection lost")
    return ProviderError(Outcome.RETRY, f"cannot connect to {where}: {reason}", route_down=True)


def _own_name(sock: socket.socket) -> str:
    """Return our end's address as an address literal, the name for EHLO where no DNS name is sure."""
    address = ipaddress.ip_address(sock.getsockname()[0].partition("%")[0])
    return f"[{address}]" if address.version == 4 else f"[IPv6:{address}]"
