"""A DNS server on a free UDP port of this machine, with the records that a test gives it."""

import socket
import threading
from types import TracebackType
from typing import Self

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

HOST = "127.0.0.1"


class DnsServer:
    """The server in a thread of its own; a context manager.

    ``records`` are texts by kind and name; a name without any is unknown. While ``is_silent`` it answers nothing, and
    while ``is_broken`` that it failed. ``asked`` are the names of all questions.
    """

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.asked: list[str] = []
        self.is_silent = self.is_broken = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="dns-server", daemon=True)

    def publish(self, name: str, *texts: str) -> None:
        """Let a name have these TXT records instead of what it had."""
        cut = [" ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255)) for text in texts]
        self.records["TXT", name] = [one.replace(";", "\\;") for one in cut]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.sendto(b"", (HOST, self.port))
        self._thread.join(5)
        self._socket.close()

    def _run(self) -> None:
        while True:
            wire, client = self._socket.recvfrom(4096)
            if not wire:
                return
            answer = self._answer(dns.message.from_wire(wire))
            if answer is not None:
                self._socket.sendto(answer.to_wire(), client)

    def _answer(self, query: dns.message.Message) -> dns.message.Message | None:
        (question,) = query.question
        name = question.name.to_text(omit_final_dot=True)
        self.asked.append(name)
        if self.is_silent:
            return None
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        kind = question.rdtype.name
        if self.is_broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif texts := self.records.get((kind, name)):
            answer.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", kind, texts))
        elif not any(known == name for _, known in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer
