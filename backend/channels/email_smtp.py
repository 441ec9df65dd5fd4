"""E-mail over SMTP (RFC 5321): submission to a mail server over one persistent, authenticated connection."""

import logging
import ssl
from collections.abc import Generator, Iterator, Sequence
from time import monotonic
from typing import Literal

from backend.channels import mime
from backend.channels.attachments import more_seconds
from backend.channels.base import Channel, Message, Outcome, ProviderError, Receipt
from backend.channels.mime_headers import sender_field
from backend.channels.provider_address import ProviderAddress, is_loopback, parse, place, provider_name
from backend.channels.smtp_handshake import Server, Timeouts
from backend.channels.smtp_session import Envelope, Session
from backend.channels.smtp_wire import Closed
from backend.lib import clock

logger = logging.getLogger(__name__)

_BURST = 8  # messages under way at once, over as many sessions
_MOMENT_SECONDS = 0.02  # what waits for longer is told before it is waited for
_DEFAULT_TLS = {465: "tls", 587: "starttls"}
_DEFAULT_PORT = {"tls": 465, "starttls": 587}


class SmtpProvider:
    """A mail server, given as ``smtp://user:password@host:port?tls=none|starttls|tls&ca=/path``.

    Without ``tls``, port 465 means implicit TLS, port 587 STARTTLS, any other none. ``ca`` is a file of the
    certificate authorities to trust instead of the system's. Raises ``ValueError`` without a secret.
    """

    channel = Channel.EMAIL
    repeatable: Literal[True] = True  # by its Message-ID

    def __init__(self, address: str, timeouts: Timeouts | None = None) -> None:
        parts = parse(address, {"tls", "ca"})
        port = parts.port or _DEFAULT_PORT.get(parts.options.get("tls", ""), 25)
        tls = parts.options.get("tls") or _DEFAULT_TLS.get(port, "none")
        if tls not in {"none", "starttls", "tls"}:
            raise ValueError("the option tls is none, starttls or tls")
        self._server = Server(
            host=parts.host,
            port=port,
            tls=tls,
            credentials=_credentials(parts, tls),
            context=_context(tls, parts.options.get("ca")),
            timeouts=timeouts or Timeouts(),
        )
        self.name = provider_name("smtp", place(parts.host, port), parts.user or "", parts.password or "")

    def __repr__(self) -> str:
        return f"SmtpProvider({self.name!r})"

    def open(self) -> "SmtpConnection":
        """Return a connection for one thread; it connects when it first sends, and again when it must."""
        return SmtpConnection(self._server)

    def describe(self) -> str:
        """Return one line for operators, without secrets."""
        security = {"none": "without TLS", "starttls": "with STARTTLS", "tls": "with TLS"}[self._server.tls]
        who = "signed in" if self._server.credentials else "not signed in"
        return f"{self.name} {security}, {who}"


class SmtpConnection:
    """Persistent sessions, each renewed when the server has closed it: one, and more for several messages at once."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._sessions: dict[int, Session] = {}
        self.burst = _BURST

    def send(self, message: Message) -> Receipt:
        """Send one message to its one recipient.

        Raises ``ProviderError``. A session that the server closed while it was idle, or in which it takes no more, is
        renewed once, silently.
        """
        steps = self._in_steps(0, message)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                receipt: Receipt = end.value
                return receipt

    def send_all(self, messages: Sequence[Message]) -> Iterator[Receipt | ProviderError | None]:
        """Send several messages over as many sessions: all envelopes, then all contents, then the answers in turn."""
        under_way: list[_Steps] = []
        done: dict[int, Receipt | ProviderError] = {}
        for slot, message in enumerate(messages):
            steps = self._in_steps(slot, message)
            _go_on(steps, slot, done)
            if slot and slot not in self._sessions and _is_down(done.get(slot)):
                # The server takes no more sessions than we have.
                self.burst = slot
                break
            under_way.append(steps)
            if _is_down(done.get(0)):
                break
        for slot, steps in enumerate(under_way):
            if slot not in done:
                _go_on(steps, slot, done)
        for slot, steps in enumerate(under_way):
            while slot not in done:
                session = self._sessions.get(slot)
                if session is not None and not session.answers_within(_MOMENT_SECONDS):
                    yield None
                _go_on(steps, slot, done)
            yield done[slot]

    def close(self) -> None:
        """End the sessions."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            session.quit()

    def _in_steps(self, slot: int, message: Message) -> "_Steps":
        """Send one message over the session of this number, yielding where an answer is to be waited for."""
        try:
            content = mime.build(message, clock.now())
            envelope = Envelope(sender_field(message.sender)[1], message.address)
        except ValueError as fault:
            raise ProviderError(Outcome.PERMANENT, f"the message cannot be sent: {fault}") from None
        deadline = monotonic() + self._server.timeouts.exchange + more_seconds(len(content))
        reused = slot in self._sessions
        try:
            return (yield from self._attempt(slot, envelope, content, deadline))
        except Closed as closed:
            if not (reused and closed.nothing_taken):
                raise closed.error() from None
        try:
            return (yield from self._attempt(slot, envelope, content, deadline))
        except Closed as closed:
            raise closed.error() from None

    def _attempt(self, slot: int, envelope: Envelope, content: bytes, deadline: float) -> "_Steps":
        session = self._sessions.get(slot)
        if session is None:
            session = self._sessions[slot] = Session(self._server, deadline)
        try:
            answer = yield from session.submission(envelope, content, deadline)
        finally:
            if not session.is_open:
                self._sessions.pop(slot, None)
        return Receipt(provider_message_id=None, detail=answer.detail)


_Steps = Generator[None, None, Receipt]


def _go_on(steps: _Steps, slot: int, done: dict[int, Receipt | ProviderError]) -> None:
    """Take a message one step further, and note what came of it if that was the last."""
    try:
        next(steps)
    except StopIteration as end:
        done[slot] = end.value
    except ProviderError as error:
        done[slot] = error
    except Exception as fault:
        # The trouble with one message must not be that of the others under way.
        logger.exception("A message could not be sent")
        done[slot] = ProviderError(Outcome.RETRY, f"sending failed unexpectedly ({type(fault).__name__})")


def _is_down(outcome: Receipt | ProviderError | None) -> bool:
    return isinstance(outcome, ProviderError) and outcome.route_down


def _credentials(parts: ProviderAddress, tls: str) -> tuple[str, str] | None:
    if not parts.user and not parts.password:
        return None
    if not parts.user or not parts.password:
        raise ValueError("it needs both a user and a password, or neither")
    if not (parts.user.isascii() and parts.password.isascii()):
        raise ValueError("user and password may hold ASCII characters only")
    if tls == "none" and not is_loopback(parts.host):
        raise ValueError("it would send the password in clear text; use tls=starttls or tls=tls")
    return parts.user, parts.password


def _context(tls: str, authorities: str | None) -> ssl.SSLContext | None:
    """Return a context that verifies certificates and host names, made once for all connections."""
    if tls == "none":
        if authorities is not None:
            raise ValueError("the option ca has no use without TLS")
        return None
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError:
        raise ValueError("the file of the option ca cannot be read as certificates") from None
