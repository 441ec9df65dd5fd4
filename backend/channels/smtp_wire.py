"""The octets of an SMTP session: commands written, replies read, both bounded, over a socket that is signed in.

smtplib opens the session; for the transactions it is too slow, because it reads and writes one command at a time.
"""

import re
import select
import socket
import ssl
from datetime import UTC, datetime
from time import monotonic

import msgspec

from backend.channels.base import Outcome, ProviderError, Scope
from backend.channels.quoting import quoted
from backend.channels.refusals import Classified, classify
from backend.channels.smtp_steps import Step

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)", re.ASCII)
# RFC 5321 section 4.5.3.1.5 allows 512 octets a reply line; smtplib bears 8192, and so do we.
_LINE_OCTETS = 8192
_REPLY_LINES = 100
_CHUNK = 4096  # octets asked of the socket at a time: all replies to a group of commands
_WOULD_WAIT = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_ONE_LINE = re.compile(rb"(\d{3}) ([^\n]*)\n")  # a reply as most are: its code and its text


# An SMTP server's reply, and the error that it means for a delivery (RFC 5321, RFC 2034).


class Reply(msgspec.Struct, frozen=True):
    """One reply; ``code`` is -1 where the server answered something that is not SMTP."""

    code: int
    text: str

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code, if it agrees in class with the reply's code."""
        match = _ENHANCED.match(self.text)
        return match[0] if match and match[1] == str(self.code)[0] else None

    @property
    def detail(self) -> str:
        """The reply as readers want it, such as ``550 5.1.1 no such user``."""
        return f"{self.code} {self.text}".strip() if self.code > 0 else "the server's answer is not SMTP"


def reply(code: int, raw: bytes, secrets: tuple[str, ...] = ()) -> Reply:
    """Make a reply from the octets of a server: one line, printable, bounded, with our credentials left out."""
    lines = raw.decode("utf-8", "replace").split("\n")
    first = _ENHANCED.match(lines[0])
    if first:
        # A reply of several lines repeats its enhanced code on each of them (RFC 2034 section 4).
        lines[1:] = [line.removeprefix(first[0]) for line in lines[1:]]
    return Reply(code, quoted(" ".join(lines), secrets))


def ends_session(answer: Reply, step: Step) -> bool:
    """Tell whether a refusal may be of the session, so that a new one may hear another answer."""
    return answer.code == 421 or (_is_refusal(answer) and _classified(answer, step).scope is Scope.SESSION)


def error(answer: Reply, step: Step) -> ProviderError:
    """Return the error that a negative or unexpected reply at a step means."""
    code = answer.enhanced or (str(answer.code) if answer.code > 0 else None)
    if not _is_refusal(answer):
        # Not a reply that this step may have: nobody knows what the server thinks now.
        outcome = Outcome.AMBIGUOUS if step is Step.CONTENT else Outcome.RETRY
        return ProviderError(outcome, answer.detail, code=code, scope=Scope.SERVER)
    classified = _classified(answer, step)
    return ProviderError(
        classified.outcome, answer.detail, code=code, scope=classified.scope, bad_address=classified.bad_address
    )


def _is_refusal(answer: Reply) -> bool:
    return 400 <= answer.code < 600


def _classified(answer: Reply, step: Step) -> Classified:
    return classify(answer.code, answer.enhanced, answer.text, step)


class Closed(Exception):
    """The session ended at a step: by a 421 reply, by loss of the connection, or by a time-out."""

    def __init__(self, step: Step, answer: Reply | None = None, *, timed_out: bool = False) -> None:
        super().__init__(step)
        self.step = step
        self.answer = answer
        self.timed_out = timed_out

    @property
    def nothing_taken(self) -> bool:
        """Whether the server cannot have taken the message: it was gone before the content, or has refused it."""
        if self.answer is not None and 400 <= self.answer.code < 500:
            return True
        return not self.timed_out and self.step in {Step.MAIL, Step.RCPT, Step.DATA}

    def error(self) -> ProviderError:
        """Return what this means for the message under way."""
        if self.answer is not None:
            return error(self.answer, self.step)
        # The server acts on the final dot. Lost before it: nothing was taken. Lost after it: nobody knows.
        outcome = Outcome.AMBIGUOUS if self.step is Step.CONTENT else Outcome.RETRY
        what = "no answer in time" if self.timed_out else "the connection was lost"
        down = self.timed_out or self.step not in {Step.BODY, Step.CONTENT}
        scope = Scope.SERVER if down else Scope.MESSAGE
        return ProviderError(outcome, f"{what} at {self.step}", scope=scope)


class Wire:
    """A socket with a small buffer for replies.

    ``deadline`` values are moments of ``time.monotonic()``. Reading and writing raise ``Closed`` for the step
    they are told: the connection was lost, the time was over, or what came is no SMTP reply.

    The socket never waits by itself: with a time-out of its own it would ask the system before every call whether to
    wait, and most calls need not.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(0)
        self._sock = sock
        self._unread = b""
        self._is_over = False
        self.is_open = True

    @property
    def has_unread(self) -> bool:
        """Whether the server has already said more than was read, blank lines aside."""
        return bool(self._unread.strip(b"\r\n"))

    def certificate_ends(self) -> datetime | None:
        """Return when the server's certificate ends, in UTC; None without TLS."""
        ends = (self._sock.getpeercert() or {}).get("notAfter") if isinstance(self._sock, ssl.SSLSocket) else None
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if isinstance(ends, str) else None

    def is_quiet(self) -> bool:
        """Tell whether the session goes on and the server has said nothing more, without waiting for it."""
        while not self.has_unread and len(self._unread) <= _LINE_OCTETS and not self._is_over:
            if not self._hears():
                return True
        return False

    def answers_within(self, seconds: float) -> bool:
        """Tell whether there is something to read, be it the end, within so many seconds."""
        return self.has_unread or self._hears() or _ready(self._sock, select.POLLIN, seconds)

    def _hears(self) -> bool:
        """Take up what has come by now; tell whether there was something, be it the end."""
        try:
            received = self._sock.recv(_CHUNK)
        except _WOULD_WAIT:
            return False
        except OSError:  # which the next to read will be told
            received = b""
        self._unread += received
        self._is_over = not received
        return True

    def write(self, data: bytes, step: Step, deadline: float) -> None:
        """Write everything; after ``Closed`` the last octets have not left."""
        left = memoryview(data)
        try:
            _see(deadline)
            while left:
                try:
                    left = left[self._sock.send(left) :]
                except _WOULD_WAIT as fault:
                    _wait(self._sock, fault, select.POLLOUT, deadline)
        except OSError as fault:
            raise Closed(step, timed_out=isinstance(fault, TimeoutError)) from None

    def read(self, step: Step, deadline: float) -> tuple[int, bytes]:
        """Return one reply: its code and the texts of its lines, joined by LF.

        The code is that of the last line, and -1 if a line is not of the form of RFC 5321 section 4.2.
        """
        self._await_line(step, deadline)
        if one := _ONE_LINE.match(self._unread):
            self._unread = self._unread[one.end() :]
            return int(one[1]), one[2]
        texts: list[bytes] = []
        while len(texts) < _REPLY_LINES:
            self._await_line(step, deadline)
            # It may end with CR, and be of LF alone, as careless servers do.
            line, _, self._unread = self._unread.partition(b"\n")
            code, mark = line[:3], line[3:4]
            if not (len(code) == 3 and code.isdigit() and mark in b" -\r"):
                return -1, b""
            texts.append(line[4:])
            if mark != b"-":
                return int(code), b"\n".join(texts)
        raise Closed(step, Reply(-1, ""))

    def close(self) -> None:
        """Close the socket without a word; never raises."""
        self.is_open = False
        self._sock.close()

    def _await_line(self, step: Step, deadline: float) -> None:
        """Read until there is a whole line; blank ones between replies, as careless servers send, are none."""
        self._unread = self._unread.lstrip(b"\r\n")
        while b"\n" not in self._unread:
            if len(self._unread) > _LINE_OCTETS:
                raise Closed(step, Reply(-1, ""))
            try:
                received = self._receive(deadline)
            except OSError as fault:
                raise Closed(step, timed_out=isinstance(fault, TimeoutError)) from None
            if not received:
                raise Closed(step)
            self._unread = (self._unread + received).lstrip(b"\r\n")

    def _receive(self, deadline: float) -> bytes:
        """Return what the server says next, however long it takes until the deadline; nothing at the end."""
        while True:
            _see(deadline)  # each time, so that trickling octets gain none
            try:
                return self._sock.recv(_CHUNK)
            except _WOULD_WAIT as fault:
                _wait(self._sock, fault, select.POLLIN, deadline)


def _wait(sock: socket.socket, fault: OSError, event: int, deadline: float) -> None:
    """Wait for what a call lacked; TLS may have to read before it can write, and the other way round."""
    if isinstance(fault, ssl.SSLWantReadError):
        event = select.POLLIN
    elif isinstance(fault, ssl.SSLWantWriteError):
        event = select.POLLOUT
    _ready(sock, event, max(0.0, deadline - monotonic()))
    _see(deadline)


def _see(deadline: float) -> None:
    if monotonic() >= deadline:
        raise TimeoutError


def _ready(sock: socket.socket, event: int, seconds: float) -> bool:
    """Tell whether a call would not wait, or fail, within so many seconds."""
    poll = select.poll()
    poll.register(sock, event)
    return bool(poll.poll(seconds * 1000))
