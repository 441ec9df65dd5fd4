"""The way to a session that is ready: connect, greeting, EHLO, STARTTLS and signing in, done by smtplib."""

import contextlib
import ipaddress
import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping
from time import monotonic

import msgspec

from backend.channels.base import Outcome, ProviderError, Scope
from backend.channels.smtp_replies import Reply, error, reply
from backend.channels.smtp_steps import Step
from backend.channels.smtp_wire import Closed


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


def shake_hands(server: Server, deadline: float) -> tuple[socket.socket, Mapping[str, str]]:
    """Open a session; return its socket and the extensions that the server offers, by name in lower case.

    ``deadline`` is a moment of ``time.monotonic()``. Raises ``Closed`` when the server ends the session and
    ``ProviderError`` when it cannot be reached, trusted or signed in to.
    """
    client = _connect(server, deadline)
    try:
        _hello(client, deadline)
        if server.tls == "starttls":
            _starttls(client, server, deadline)
            _hello(client, deadline)
        if server.credentials is not None:
            _sign_in(client, server.credentials, deadline)
        return _released(client), client.esmtp_features
    except BaseException:
        client.close()
        raise


def _connect(server: Server, deadline: float) -> smtplib.SMTP:
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


def _sign_in(client: smtplib.SMTP, credentials: tuple[str, str], deadline: float) -> None:
    with _talking(client, Step.AUTH, deadline):
        try:
            client.login(*credentials)
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
