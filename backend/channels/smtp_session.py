"""One session with an SMTP server: one transaction after the other, in two round trips where the server can."""

import re
from collections.abc import Generator, Sequence
from datetime import datetime
from time import monotonic

import msgspec

from backend.channels.base import Outcome, ProviderError
from backend.channels.smtp_handshake import Server, shake_hands
from backend.channels.smtp_steps import Step
from backend.channels.smtp_wire import Closed, Reply, Wire, ends_session, error, reply

_COMPLETED = range(200, 300)  # replies 2yz: the requested action is completed
_GO_ON = range(354, 355)
_ENVELOPE = ((Step.MAIL, _COMPLETED), (Step.RCPT, _COMPLETED), (Step.DATA, _GO_ON))  # the steps and good replies
_QUIT_SECONDS = 1
# A message that is refused makes up to three errors. Postfix lets a client that has made more than ten wait a second
# for each answer, and ends the session at the twentieth (smtpd_soft_error_limit, smtpd_hard_error_limit).
_MOST_ERRORS = 7
_DOT_LINE = re.compile(rb"\r\n\.")  # found in half the time that bytes.find and bytes.replace take


class Envelope(msgspec.Struct, frozen=True):
    """Who sends to whom: two bare addresses, and in one text those that stand in the header alone."""

    sender: str
    recipient: str
    header: str = ""

    @property
    def is_ascii(self) -> bool:
        """Whether servers without SMTPUTF8 (RFC 6531) can take it."""
        return self.sender_is_ascii and self.recipient.isascii()

    @property
    def sender_is_ascii(self) -> bool:
        """Whether that is so for our own addresses."""
        return self.sender.isascii() and self.header.isascii()


class Session:
    """An SMTP session that is ready for transactions.

    ``deadline`` values are moments of ``time.monotonic()`` by which everything but the last answer must be
    done. Every method raises ``Closed`` when the session is over and ``ProviderError`` when it is refused.
    """

    def __init__(self, server: Server) -> None:
        sock, extensions = shake_hands(server)
        self._wire = Wire(sock)
        self._limits, self._begun, self._submitted = server.limits, monotonic(), 0
        self._errors = 0
        self._final = server.timeouts.final
        self._pipelines = "pipelining" in extensions
        self._takes_utf8 = "smtputf8" in extensions
        self._takes_size = "size" in extensions
        # Octets; 0 means none. RFC 1870 section 4 allows 20 digits.
        limit = extensions.get("size", "")
        self._size_limit = int(limit) if limit.isdecimal() and len(limit) <= 20 else 0

    @property
    def is_open(self) -> bool:
        """Whether the connection has not been closed from our side."""
        return self._wire.is_open

    @property
    def is_spent(self) -> bool:
        """Whether it has had the messages, the time or the refusals that the server bears in one session."""
        messages, seconds = self._limits.messages, self._limits.seconds
        aged = seconds is not None and monotonic() - self._begun >= seconds
        return aged or self._errors > _MOST_ERRORS or (messages is not None and self._submitted >= messages)

    def submit(self, envelope: Envelope, content: bytes, deadline: float) -> Reply:
        """Carry out one transaction, waiting for each answer."""
        steps = self.submission(envelope, content, deadline)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                answer: Reply = end.value
                return answer

    def submission(self, envelope: Envelope, content: bytes, deadline: float) -> Generator[None, None, Reply]:
        """Carry out one transaction and return the server's acceptance; after a refusal all is reset.

        ``content`` has CRLF line ends only. It yields where the server's answer is to be waited for, so that the
        caller can have other sessions under way meanwhile.
        """
        commands = self._commands(envelope, len(content))
        if not self._wire.is_quiet():
            # It says that the session is over, or is: neither is an answer to what we have not said yet.
            self._wire.close()
            raise Closed(Step.MAIL)
        self._submitted += 1
        try:
            if self._pipelines:
                yield from self._all_at_once(commands, deadline)
            else:
                yield  # as often as with groups, so that the content's answer is always the third to wait for
                self._one_by_one(commands, deadline)
            return (yield from self._content(content, deadline))
        except ProviderError:
            raise
        except BaseException:
            # Stopped in the middle, the next reply on this connection would be taken for another command's.
            self._wire.close()
            raise

    def try_sender(self, sender: str, deadline: float) -> datetime | None:
        """Ask whether a sender would be taken, and send nothing; return when the server's certificate ends."""
        ends = self._wire.certificate_ends()
        self._wire.write(f"MAIL FROM:<{sender}>\r\n".encode(), Step.MAIL, deadline)
        code, text = self._wire.read(Step.MAIL, deadline)
        if code not in _COMPLETED:
            raise _refusal(code, text, Step.MAIL)
        self._last(b"RSET\r\n", _COMPLETED, deadline)
        return ends

    def answers_within(self, seconds: float) -> bool:
        """Tell whether the server says something, or ends the session, within so many seconds."""
        return self._wire.answers_within(seconds)

    def quit(self) -> None:
        """End the session politely within a second or so; never raises."""
        deadline = monotonic() + _QUIT_SECONDS
        try:
            self._wire.write(b"QUIT\r\n", Step.MAIL, deadline)
            self._wire.read(Step.MAIL, deadline)
        except Closed:
            pass
        finally:
            self._wire.close()

    def _read(self, step: Step, deadline: float) -> tuple[int, bytes]:
        code, text = self._wire.read(step, deadline)
        self._errors += code >= 400
        return code, text

    def _commands(self, envelope: Envelope, size: int) -> tuple[bytes, bytes, bytes]:
        """Return the lines of MAIL, RCPT and DATA, or refuse what the server said that it does not take."""
        is_ascii = envelope.is_ascii
        if not is_ascii and not self._takes_utf8:
            whose = "" if envelope.sender_is_ascii else ", and the sender or the address for answers is not"
            detail = f"the mail server takes ASCII addresses only (no SMTPUTF8){whose}"
            raise ProviderError(Outcome.PERMANENT, detail, code="5.6.7")
        if 0 < self._size_limit < size:
            raise ProviderError(
                Outcome.PERMANENT,
                f"the message has {size} octets, the mail server takes {self._size_limit}",
                code="5.3.4",
            )
        options = f" SIZE={size}" if self._takes_size else ""
        if not is_ascii:
            options += " BODY=8BITMIME SMTPUTF8"
        mail = f"MAIL FROM:<{envelope.sender}>{options}\r\n".encode()
        rcpt = f"RCPT TO:<{envelope.recipient}>\r\n".encode()
        if len(mail.splitlines()) + len(rcpt.splitlines()) != 2:
            raise ProviderError(Outcome.PERMANENT, "an address contains a line break")
        return mail, rcpt, b"DATA\r\n"

    def _all_at_once(self, commands: tuple[bytes, bytes, bytes], deadline: float) -> Generator[None, None, None]:
        """Send the commands as one group; DATA has to be the last of it (RFC 2920 section 3.1)."""
        self._wire.write(b"".join(commands), Step.MAIL, deadline)
        yield
        for position, (step, good) in enumerate(_ENVELOPE, start=1):
            code, text = self._read(step, deadline)
            if code not in good:
                refusal = _refusal(code, text, step)
                self._abandon([step for step, _ in _ENVELOPE[position:]], deadline)
                raise self._ended(refusal, reply(code, text), step)

    def _one_by_one(self, commands: tuple[bytes, bytes, bytes], deadline: float) -> None:
        """Send each command when the one before it was taken, for servers without PIPELINING."""
        for (step, good), command in zip(_ENVELOPE, commands, strict=True):
            self._wire.write(command, step, deadline)
            code, text = self._read(step, deadline)
            if code not in good:
                refusal = _refusal(code, text, step)
                self._abandon([], deadline)
                raise self._ended(refusal, reply(code, text), step)

    def _content(self, content: bytes, deadline: float) -> Generator[None, None, Reply]:
        if self._wire.has_unread:
            # Whatever the server says before it has seen the content is not the answer to it.
            raise Closed(Step.DATA, Reply(-1, ""))
        self._wire.write(_stuffed(content), Step.BODY, deadline)
        yield
        code, text = self._read(Step.CONTENT, monotonic() + self._final)
        if code in _COMPLETED:
            return reply(code, text)
        refusal = _refusal(code, text, Step.CONTENT)
        self._abandon([], deadline)
        raise self._ended(refusal, reply(code, text), Step.CONTENT)

    def _ended(self, refusal: ProviderError, answer: Reply, step: Step) -> Exception:
        """End the session politely where the refusal may be of it, and say so instead."""
        if not ends_session(answer, step):
            return refusal
        if self._wire.is_open:
            self.quit()
        return Closed(step, answer)

    def _abandon(self, unread: Sequence[Step], deadline: float) -> None:
        """Make a session that refused something ready for the next transaction, or close it; never raises.

        ``unread`` are the steps whose commands the server has and whose answers we have not.
        """
        try:
            codes = {step: self._read(step, deadline)[0] for step in unread}
            if not all(_keeps_session(code) for code in codes.values()):
                self._wire.close()
            elif codes.get(Step.DATA) not in _GO_ON:
                self._last(b"RSET\r\n", _COMPLETED, deadline)
            elif codes.get(Step.RCPT) in _COMPLETED:
                # The sender was refused, but not the recipient: the lone dot could send an empty mail.
                self._wire.close()
            else:
                # Nobody to send to, and yet the server waits for content: RFC 2920 section 3.1 wants a lone dot.
                self._last(b".\r\n", range(200, 600), deadline)
        except Closed:
            self._wire.close()

    def _last(self, command: bytes, wanted: range, deadline: float) -> None:
        self._wire.write(command, Step.MAIL, deadline)
        code, _ = self._wire.read(Step.MAIL, deadline)
        if code not in wanted or not _keeps_session(code):
            self._wire.close()


def _refusal(code: int, text: bytes, step: Step) -> ProviderError:
    """Return the error of a refusal; raise ``Closed`` for an answer that ends the session."""
    answer = reply(code, text)
    if 400 <= code < 600 and _keeps_session(code):
        return error(answer, step)
    # 421, or an answer out of order: what the server would make of the next command is anyone's guess.
    raise Closed(step, answer)


def _keeps_session(code: int) -> bool:
    return 200 <= code < 600 and code != 421


def _stuffed(content: bytes) -> bytes:
    """Return the content with its final dot; a line that begins with a dot gets a second one.

    RFC 5321 section 4.5.2.
    """
    if _DOT_LINE.search(content):
        content = content.replace(b"\r\n.", b"\r\n..")
    if content.startswith(b"."):
        content = b"." + content
    return content + (b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n")
