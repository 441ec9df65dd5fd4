"""An SMTP server that answers groups of commands (RFC 2920), with scripted answers, splits and losses.

aiosmtpd does not offer PIPELINING. This server keeps to the order of a real one: a recipient needs a sender,
content needs a recipient, and content is only read after a 354.
"""

import contextlib
import socket
import ssl
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import trustme


@dataclass
class Play:
    """What differs from good behaviour; set it at any time, it counts from the next command on.

    ``answers`` are the whole replies to MAIL, RCPT, DATA, RSET, CONTENT and a lone DOT, without the last line
    end. ``closes`` and ``hangs`` name the one that is never answered; ``times`` bounds how often it closes.
    BODY as such stands for the first octets of the content. ``packet`` is the octets of each packet of replies,
    ``after`` what follows each of them. ``greets`` is waited for before the greeting. ``signs_in`` answers AUTH: it is
    given the command's words, and asks for a further line by a challenge.
    """

    answers: dict[str, str] = field(default_factory=dict)
    closes: str | None = None
    times: int = 1_000_000
    hangs: str | None = None
    packet: int | None = None
    after: str = ""
    greets: threading.Event | None = None
    signs_in: Callable[[list[str], Callable[[str], str]], str] | None = None


@dataclass(frozen=True)
class Kept:
    """One accepted content, as it stood on the wire (without its final dot), and for whom."""

    sender: str
    recipient: str
    stuffed: bytes

    @property
    def content(self) -> bytes:
        """The octets as RFC 5321 section 4.5.2 tells a receiver to read them."""
        lines = self.stuffed.split(b"\r\n")
        return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)


class GroupServer:
    """The server, a thread for each connection; a context manager.

    With ``tls`` (starttls or tls), ``folder`` takes the file of its throw-away authority; with starttls the
    extensions are only offered behind it. ``groups`` are the commands that came with each packet of the client,
    from MAIL on, with CONTENT for content and DOT for a dot without any.
    """

    def __init__(
        self,
        *extensions: str,
        tls: str = "none",
        folder: Path = Path(),
        credentials: tuple[str, str] | None = None,
    ) -> None:
        self.play = Play()
        self.kept: list[Kept] = []
        self.groups: list[list[str]] = []
        self.connections = 0
        self.open, self.most_open = 0, 0
        self.names: list[str] = []
        self.logins: list[str] = []
        self.mechanisms = "PLAIN"
        self.extensions = extensions or ("PIPELINING", "SIZE 50000000")
        self.tls, self.credentials = tls, credentials
        self.over = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        who = ":".join(credentials) + "@" if credentials else ""
        self.address = f"smtp://{who}127.0.0.1:{self._listening.getsockname()[1]}?tls={tls}"
        if tls != "none":
            authority, file = trustme.CA(), folder / "authority.pem"
            authority.cert_pem.write_to_path(str(file))
            self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            authority.issue_cert("127.0.0.1").configure_cert(self.context)
            self.address += f"&ca={file}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_fault: object) -> None:
        self.over.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(target=_Talk(self, sock).run, daemon=True).start()


class _End(Exception):
    """The connection is to be closed now."""


class _Talk:
    """One connection."""

    def __init__(self, server: GroupServer, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server, self._sock = server, sock
        self._unread = b""
        self._said = b""
        self._secure = False
        self._sender = self._recipient = ""

    def run(self) -> None:
        self._server.open += 1
        self._server.most_open = max(self._server.open, self._server.most_open)
        with contextlib.suppress(OSError, _End):
            if self._server.tls == "tls":
                self._wrap()
            if self._server.play.greets is not None:
                self._server.play.greets.wait(10)
            self._say("220 group.test ESMTP")
            while True:
                self._command(self._line())
        with contextlib.suppress(OSError, _End):
            self._flush()
        # A shutdown by itself would leave TLS without its end; a close by itself could drop what was said.
        self._server.open -= 1
        self._sock.close()

    def _wrap(self) -> None:
        self._sock = self._server.context.wrap_socket(self._sock, server_side=True)
        self._secure = True

    def _say(self, reply: str) -> None:
        self._said += f"{reply}\r\n{self._server.play.after}".encode()

    def _flush(self) -> None:
        said, self._said = self._said, b""
        step = self._server.play.packet or max(1, len(said))
        for at in range(0, len(said), step):
            self._sock.sendall(said[at : at + step])
            if step < len(said):
                time.sleep(0.001)

    def _receive(self) -> None:
        self._flush()
        data = self._sock.recv(1 << 20)
        if not data:
            raise _End
        self._unread += data

    def _line(self) -> str:
        arrived = False
        while b"\r\n" not in self._unread:
            self._receive()
            arrived = True
        line, _, self._unread = self._unread.partition(b"\r\n")
        self._note(line[:4].decode().strip(), arrived)
        return line.decode()

    def _note(self, verb: str, arrived: bool) -> None:
        if verb in {"MAIL", "RCPT", "DATA", "RSET", "QUIT"}:
            if arrived:
                self._server.groups.append([])
            self._server.groups[-1].append(verb)

    def _command(self, line: str) -> None:
        verb = line[:4].upper()
        match verb:
            case "EHLO":
                self._server.names.append(line[5:])
                self._say("\r\n".join(["250-group.test", *(f"250-{name}" for name in self._offers()), "250 HELP"]))
            case "STAR":
                self._say("220 go ahead")
                self._flush()
                self._wrap()
            case "AUTH" if self._server.play.signs_in is not None:
                self._server.logins.append(line.split()[1])
                self._say(self._server.play.signs_in(line.split()[1:], self._ask))
            case "AUTH":
                given = b64decode(line.split()[2]).decode().split("\0")[1:]
                self._say("235 2.7.0 welcome" if tuple(given) == self._server.credentials else "535 5.7.8 wrong")
            case "QUIT":
                self._say("221 bye")
                raise _End
            case "MAIL":
                self._sender, self._recipient = self._taken(verb, "250 2.1.0 fine") and _address(line), ""
            case "RCPT":
                usual = "250 2.1.5 fine" if self._sender else "503 5.5.1 no sender"
                self._recipient = self._taken(verb, usual) and _address(line)
            case "DATA":
                if self._taken(verb, "354 go on" if self._recipient else "503 5.5.1 no recipient"):
                    self._content()
            case _:
                self._taken(verb, "250 2.0.0 fine")

    def _offers(self) -> Iterator[str]:
        if self._server.tls != "starttls" or self._secure:
            yield from self._server.extensions
        else:
            yield "STARTTLS"
        if self._server.credentials:
            yield f"AUTH {self._server.mechanisms}"

    def _ask(self, challenge: str) -> str:
        self._say(f"334 {challenge}")
        return self._line()

    def _taken(self, step: str, usual: str) -> str:
        """Answer a step as scripted; return the reply if it is a good one, else nothing."""
        play = self._server.play
        if play.hangs == step:
            self._flush()
            self._server.over.wait()
        if play.closes == step and play.times > 0:
            play.times -= 1
            raise _End
        reply = play.answers.get(step, usual)
        if reply:
            self._say(reply)
        if reply.startswith("421"):
            raise _End
        return reply if reply[:1] in {"2", "3"} else ""

    def _content(self) -> None:
        """Read up to the final dot, which is the first line's when there is no content."""
        while not self._unread.startswith(b".\r\n") and b"\r\n.\r\n" not in self._unread:
            self._receive()
            if self._server.play.closes == "BODY":
                raise _End
        end = 0 if self._unread.startswith(b".\r\n") else self._unread.index(b"\r\n.\r\n") + 2
        stuffed, self._unread = self._unread[:end], self._unread[end + 3 :]
        step = "CONTENT" if stuffed else "DOT"
        self._server.groups.append([step])
        mail = Kept(self._sender, self._recipient, stuffed)
        self._server.kept.append(mail)
        if not self._taken(step, "250 2.0.0 kept" if self._recipient else "554 5.5.1 no valid recipients"):
            self._server.kept.remove(mail)


def _address(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]
