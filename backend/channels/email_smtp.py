"""E-mail over SMTP (RFC 5321): submission to a mail server over one persistent, authenticated connection."""

import logging
from collections.abc import Generator, Iterator, Sequence
from datetime import datetime
from time import monotonic
from typing import Literal

import msgspec

from backend.channels import dkim, mime, smtp_address
from backend.channels.attachments import more_seconds
from backend.channels.base import Channel, Message, Outcome, ProviderError, Receipt
from backend.channels.mime import sender_field
from backend.channels.provider_address import host_port, provider_name
from backend.channels.smtp_capacity import Busy, MessageSpacing, SessionSlots
from backend.channels.smtp_handshake import Server, Timeouts
from backend.channels.smtp_session import Envelope, Session
from backend.channels.smtp_wire import Closed
from backend.lib import clock, settings

logger = logging.getLogger(__name__)
_PROBE_SECONDS = 6.0
_OF_PROBE = Timeouts(connect=5, greeting=5, exchange=_PROBE_SECONDS, final=_PROBE_SECONDS)
_BURST = 8  # messages under way at once, over as many sessions
_NARROW_SECONDS = 60.0  # a server that had no more sessions for us may have them again then
_PATIENCE_SECONDS = 1.0  # for a session, or a turn; what has to wait for longer is not kept in hand
_SLOT_SECONDS = 0.1  # about as often a session becomes free
_MOMENT_SECONDS = 0.02  # what waits for longer is told before it is waited for


class SmtpProvider:
    """A mail server, given as ``smtp://user:password@host:port?tls=none|starttls|tls&ca=/path``.

    Without ``tls``, port 465 means implicit TLS, port 587 STARTTLS, any other none. ``ca`` is a file of the
    certificate authorities to trust instead of the system's; ``smtp_address`` knows the other options. Raises
    ``ValueError`` without a secret.
    """

    channel = Channel.EMAIL
    repeatable: Literal[True] = True  # by its Message-ID

    def __init__(self, address: str, timeouts: Timeouts | None = None) -> None:
        parts, self._server = smtp_address.read(address, timeouts)
        limits = self._server.limits
        self._slots = SessionSlots(limits.connections) if limits.connections else None
        self._spacing = MessageSpacing(limits.rate) if limits.rate else None
        where = host_port(parts.host, self._server.port)
        self.name = provider_name("smtp", where, parts.user or "", parts.password or "")

    def __repr__(self) -> str:
        return f"SmtpProvider({self.name!r})"

    def open(self) -> "SmtpConnection":
        """Return a connection for one thread; it connects when it first sends, and again when it must."""
        return SmtpConnection(self._server, self._slots, self._spacing)

    def probe(self, sender: str) -> datetime | None:
        """Connect, sign in and ask whether the sender would be taken; return when the server's certificate ends.

        Nothing is sent. Raises ``ProviderError``.
        """
        hasty = msgspec.structs.replace(self._server, timeouts=_OF_PROBE)
        try:
            session = Session(hasty)
            try:
                return session.try_sender(self._server.bounces or sender_field(sender)[1], monotonic() + _PROBE_SECONDS)
            finally:
                session.quit()
        except Closed as closed:
            raise closed.error() from None

    def describe(self) -> str:
        """Return one line for operators, without secrets."""
        security = {"none": "without TLS", "starttls": "with STARTTLS", "tls": "with TLS"}[self._server.tls]
        who = "signed in" if self._server.credentials else "not signed in"
        return f"{self.name} {security}, {who}"


class SmtpConnection:
    """Persistent sessions, each renewed when the server has closed it: one, and more for several messages at once."""

    def __init__(
        self, server: Server, slots: SessionSlots | None = None, spacing: MessageSpacing | None = None
    ) -> None:
        self._server = server
        self._slots, self._held = slots, set[int]()
        self._spacing = spacing
        self._sessions: dict[int, Session] = {}
        # With a rate, no more at once than a second's messages, so that none waits long for its turn.
        self._width = min(_BURST, max(1, int(server.limits.rate or _BURST)), server.limits.connections or _BURST)
        self._narrow: tuple[int, float] | None = None

    @property
    def burst(self) -> int:
        """How many messages may be under way at once: fewer for a while after the server had no more sessions."""
        if self._narrow is not None and monotonic() >= self._narrow[1]:
            self._narrow = None
        return self._width if self._narrow is None else self._narrow[0]

    def send(self, message: Message) -> Receipt:
        """Send one message to its one recipient.

        Raises ``ProviderError``. A session that the server closed while it was idle, or in which it takes no more, is
        renewed once, silently.
        """
        steps = self._in_steps(0, message)
        try:
            while True:
                next(steps)
        except StopIteration as end:
            receipt: Receipt = end.value
            return receipt
        finally:
            self._give_back()

    def send_all(self, messages: Sequence[Message]) -> Iterator[Receipt | ProviderError | None]:
        """Send several messages over as many sessions: all envelopes, then all contents, then the answers in turn."""
        try:
            yield from self._send_all(messages)
        finally:
            self._give_back()

    def _send_all(self, messages: Sequence[Message]) -> Iterator[Receipt | ProviderError | None]:
        under_way: list[_Steps] = []
        done: dict[int, Receipt | ProviderError] = {}
        for slot, message in enumerate(messages):
            if slot and not self._has_slot(slot, 0):
                break
            steps = self._in_steps(slot, message)
            _go_on(steps, slot, done)
            if slot and slot not in self._sessions and _is_down(done.get(slot)):
                # The server takes no more sessions than we have.
                self._narrow = slot, monotonic() + _NARROW_SECONDS
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
        self._give_back()
        if self._slots is not None:
            self._slots.close()
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            session.quit()

    def _has_slot(self, slot: int, patience: float) -> bool:
        """Tell whether there may be a session of this number, after so many seconds at most."""
        if self._slots is None or slot in self._held:
            return True
        free, session = self._slots.take(patience)
        if free:
            self._held.add(slot)
        if session is not None:
            self._sessions[slot] = session
        return free

    def _give_back(self) -> None:
        """Let other threads use the sessions, where there may be only so many."""
        if self._slots is not None:
            while self._held:
                self._slots.give(self._sessions.pop(self._held.pop(), None))

    def _in_steps(self, slot: int, message: Message) -> "_Steps":
        """Send one message over the session of this number, yielding where an answer is to be waited for."""
        try:
            now = clock.now()
            content = dkim.signed(mime.build(message, now), message.sender, settings.current().dkim, now)
            envelope = self._envelope(message)
        except ValueError as fault:
            raise ProviderError(Outcome.PERMANENT, f"the message cannot be sent: {fault}") from None
        if self._slots is not None or self._spacing is not None:
            self._take_moment(slot)
        reused = slot in self._sessions
        try:
            return (yield from self._attempt(slot, envelope, content))
        except Closed as closed:
            if not (reused and closed.nothing_taken):
                raise closed.error() from None
        try:
            return (yield from self._attempt(slot, envelope, content))
        except Closed as closed:
            raise closed.error() from None

    def _take_moment(self, slot: int) -> None:
        """Wait a little for a session, and for a turn, where there may be only so many of them."""
        if not self._has_slot(slot, _PATIENCE_SECONDS):
            detail = "all connections that the mail server may have are in use"
            raise Busy(detail, _PATIENCE_SECONDS, _SLOT_SECONDS)
        if self._spacing is not None and (left := self._spacing.wait(_PATIENCE_SECONDS)):
            raise Busy(f"by the rate that is set, its turn comes in {left:.0f} seconds", left, self._spacing.gap)

    def _envelope(self, message: Message) -> Envelope:
        """Return who sends to whom; what cannot be delivered returns to an address of this delivery's own."""
        sender = returns_to = sender_field(message.sender)[1]
        if self._server.bounces is not None:
            local, _, domain = self._server.bounces.rpartition("@")
            returns_to = f"{local}+{mime.checked(message.delivery_id)}@{domain}"
        header = f"{sender} {sender_field(message.reply_to)[1]}" if message.reply_to else sender
        return Envelope(returns_to, message.address, header)

    def _attempt(self, slot: int, envelope: Envelope, content: bytes) -> "_Steps":
        session = self._sessions.get(slot)
        if session is not None and session.is_spent:
            self._sessions.pop(slot).quit()
            session = None
        if session is None:
            session = self._sessions[slot] = Session(self._server)
        try:
            deadline = monotonic() + self._server.timeouts.exchange + more_seconds(len(content))
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
