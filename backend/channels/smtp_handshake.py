"""The way to a session that is ready: connect, greeting, EHLO, STARTTLS and signing in, done by smtplib."""

import contextlib
import ipaddress
import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping
from time import monotonic

import msgspec

from backend.channels import smtp_sign_in
from backend.channels.base import Outcome, ProviderError, Scope
from backend.channels.smtp_oauth import TokenSource
from backend.channels.smtp_steps import Step
from backend.channels.smtp_wire import Closed, Reply, error, reply

_MAX_BLANK_LINES = 20


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds that a server is waited for.

    ``connect`` covers each address and its TLS handshake; ``greeting`` the first line, for which RFC 5321 section
    4.5.3.2.1 wants 5 minutes; ``exchange`` the rest of the handshake, and then a message to its final dot; ``final``
    the answer to the final dot, which section 4.5.3.2.6 wants to be 10 minutes, because giving up early sends a
    message twice.
    """

    connect: float = 10
    greeting: float = 300
    exchange: float = 60
    final: float = 600


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a server bears: messages and seconds of one session, messages a second, and sessions at once.

    The last two are for each of our processes. None means that nothing is known of a limit.
    """

    messages: int | None = None
    seconds: float | None = None
    rate: float | None = None
    connections: int | None = None


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a mail server; ``tls`` is none, starttls or tls, and ``context`` is there unless none.

    ``auth`` is the one mechanism to sign in by, ``token`` what gives the password where that is XOAUTH2. ``ehlo`` is
    the name that we give ourselves, ``bounces`` the address to which what cannot be delivered returns.
    """

    host: str
    port: int
    tls: str
    context: ssl.SSLContext | None
    credentials: tuple[str, str] | None
    timeouts: Timeouts
    limits: Limits = Limits()
    auth: str | None = None
    token: TokenSource | None = None
    ehlo: str | None = None
    bounces: str | None = None

    def __repr__(self) -> str:
        return f"Server({self.host!r}, {self.port!r}, tls={self.tls!r})"


class _Client(smtplib.SMTP):
    """smtplib's client with a time for the greeting of its own, that bears blank lines between replies."""

    def __init__(self, server: Server) -> None:
        self._server = server
        # Any name given here keeps smtplib from a DNS look-up of its own, which can take long.
        super().__init__(server.host, server.port, server.ehlo or "localhost", timeout=server.timeouts.connect)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = socket.create_connection((host, port), timeout)
        try:
            if self._server.tls == "tls" and self._server.context is not None:
                sock = self._server.context.wrap_socket(sock, server_hostname=host)
            sock.settimeout(self._server.timeouts.greeting)
        except BaseException:
            sock.close()
            raise
        return sock

    def getreply(self) -> tuple[int, bytes]:
        """Return the next reply; smtplib takes a blank line for one that has neither code nor text."""
        for _ in range(_MAX_BLANK_LINES):
            code, text = super().getreply()
            if code != -1 or text:
                break
        return code, text


def shake_hands(server: Server) -> tuple[socket.socket, Mapping[str, str]]:
    """Open a session; return its socket and the extensions that the server offers, by name in lower case.

    Raises ``Closed`` when the server ends the session and ``ProviderError`` when it cannot be reached, trusted or
    signed in to.
    """
    client = _connect(server)
    deadline = monotonic() + server.timeouts.exchange
    try:
        _hello(client, deadline)
        if server.tls == "starttls":
            _starttls(client, server, deadline)
            _hello(client, deadline)
        if server.credentials is not None:
            _sign_in(client, server, server.credentials, deadline)
        return _released(client), client.esmtp_features
    except BaseException:
        client.close()
        raise


def _connect(server: Server) -> smtplib.SMTP:
    try:
        client = _Client(server)
    except smtplib.SMTPResponseException as fault:
        raise error(_reply_of(fault), Step.GREETING) from None
    except smtplib.SMTPServerDisconnected as fault:
        raise Closed(Step.GREETING, timed_out=_timed_out(fault)) from None
    except OSError as fault:
        raise _unreachable(server, fault) from None
    if client.sock is not None:
        # Without this a mail of several segments can wait 40 ms for the server's delayed ACK.
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.local_hostname = server.ehlo or _own_name(client.sock)
    return client


def _hello(client: smtplib.SMTP, deadline: float) -> None:
    with _talking(client, Step.HELLO, deadline):
        code, text = client.ehlo()
        if 500 <= code < 600:
            code, text = client.helo()  # a server from before 1995 knows no EHLO (RFC 5321, section 3.2)
        if code != 250:
            raise error(reply(code, text), Step.HELLO)


def _starttls(client: smtplib.SMTP, server: Server, deadline: float) -> None:
    if not client.has_extn("starttls"):
        raise _misconfigured("the mail server does not offer STARTTLS")
    with _talking(client, Step.STARTTLS, deadline):
        try:
            client.starttls(context=server.context)
        except smtplib.SMTPException:
            raise
        except OSError as fault:
            raise _unreachable(server, fault) from None


def _sign_in(client: smtplib.SMTP, server: Server, credentials: tuple[str, str], deadline: float) -> None:
    with _talking(client, Step.AUTH, deadline):
        try:
            smtp_sign_in.sign_in(client, *credentials, server.auth, server.token)
        except smtplib.SMTPResponseException as fault:
            raise error(_reply_of(fault, credentials), Step.AUTH) from None
        except smtplib.SMTPServerDisconnected:
            raise
        except (smtplib.SMTPException, ValueError):
            # Their texts can hold what was to be sent, so they are not repeated.
            raise _misconfigured("the mail server offers no way of signing in that we know") from None


def _released(client: smtplib.SMTP) -> socket.socket:
    """Return the socket without smtplib's reader, which would keep the connection open when the socket is closed."""
    if client.sock is None or client.file is None:
        raise Closed(Step.HELLO)
    client.file.close()
    return client.sock


@contextlib.contextmanager
def _talking(client: smtplib.SMTP, step: Step, deadline: float) -> Iterator[None]:
    """Bound the step by the deadline and turn the ways of losing a connection into ``Closed``."""
    if client.sock is None:
        raise Closed(step)
    client.sock.settimeout(max(0.001, deadline - monotonic()))
    try:
        yield
    except smtplib.SMTPServerDisconnected as fault:
        raise Closed(step, timed_out=_timed_out(fault)) from None
    except smtplib.SMTPResponseException as fault:
        raise error(_reply_of(fault), step) from None


def _reply_of(fault: smtplib.SMTPResponseException, secrets: tuple[str, ...] = ()) -> Reply:
    raw = fault.smtp_error
    return reply(fault.smtp_code, raw if isinstance(raw, bytes) else raw.encode(), secrets)


def _timed_out(fault: BaseException) -> bool:
    # smtplib hides the socket's exception behind its own.
    return isinstance(fault.__context__, TimeoutError)


def _misconfigured(detail: str) -> ProviderError:
    return ProviderError(Outcome.CONFIG, detail, scope=Scope.ACCOUNT)


def _unreachable(server: Server, fault: OSError) -> ProviderError:
    """Return the error for a connection or TLS handshake that did not come about."""
    where = f"{server.host}:{server.port}"
    if isinstance(fault, ssl.SSLCertVerificationError):
        return _misconfigured(f"the certificate of {where} cannot be trusted: {fault.verify_message}")
    if isinstance(fault, ssl.SSLError) and not isinstance(fault, ssl.SSLEOFError):
        return _misconfigured(f"no TLS with {where}: {fault.reason or 'handshake failed'}")
    reason = "no answer in time" if isinstance(fault, TimeoutError) else (fault.strerror or "connection lost")
    return ProviderError(Outcome.RETRY, f"cannot connect to {where}: {reason}", scope=Scope.SERVER)


def _own_name(sock: socket.socket) -> str:
    """Return our end's address as an address literal, the name for EHLO where no DNS name is sure."""
    address = ipaddress.ip_address(sock.getsockname()[0].partition("%")[0])
    return f"[{address}]" if address.version == 4 else f"[IPv6:{address}]"
