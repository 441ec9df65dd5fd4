"""Asking ClamAV's daemon whether a file holds malware: its command INSTREAM, over TCP (``man 8 clamd``)."""

import re
import socket
from contextlib import suppress
from struct import pack
from urllib.parse import urlsplit

_CONNECT_SECONDS = 5.0
_SECONDS = 60.0  # for each answer: large documents take some seconds
_PIECE = 64 * 1024
_LONGEST_ANSWER = 4096
_FOUND = re.compile(r"stream: (.{1,200}) FOUND", re.DOTALL)


class UnusableScanner(ValueError):
    """An address that names no scanner; the text is a sentence but for the beginning of the setting's name."""


class ScannerFault(Exception):
    """The scanner said nothing that tells whether a file is clean; the text says what it did."""


def address(given: str) -> tuple[str, int] | None:
    """Return the host and the port of ``clamd://host:port``; None where nothing is given.

    Raises:
        UnusableScanner: for an address of another form.
    """
    if not given:
        return None
    fault = UnusableScanner(f"must look like clamd://scanner.lab.example:3310, not {given[:80]!r}.")
    try:
        parts = urlsplit(given)
        port = parts.port or 3310
    except ValueError:
        raise fault from None
    if (
        parts.scheme != "clamd"
        or not parts.hostname
        or "@" in parts.netloc
        or parts.path
        or parts.query
        or parts.fragment
    ):
        raise fault
    return parts.hostname, port


def found_in(address: tuple[str, int], content: bytes) -> str | None:
    """Return the name of what a scanner finds in a file; None if it is clean.

    Raises:
        ScannerFault: if the scanner at ``address``, a host and a port, does not say.
    """
    pieces = [content[at : at + _PIECE] for at in range(0, len(content), _PIECE)]
    stream = b"".join(pack(">I", len(piece)) + piece for piece in pieces)
    answer = _asked(address, b"zINSTREAM\0" + stream + pack(">I", 0))
    if answer == "stream: OK":
        return None
    if found := _FOUND.fullmatch(answer):
        return found[1]
    raise ScannerFault(f"it answered {answer[:200]!r}")


def ping(address: tuple[str, int]) -> None:
    """See that a scanner answers.

    Raises:
        ScannerFault: if it does not.
    """
    answer = _asked(address, b"zPING\0")
    if answer != "PONG":
        raise ScannerFault(f"it answered {answer[:200]!r}")


def _asked(address: tuple[str, int], request: bytes) -> str:
    try:
        with socket.create_connection(address, _CONNECT_SECONDS) as line:
            line.settimeout(_SECONDS)
            with suppress(BrokenPipeError, ConnectionResetError):  # it says why, as where a file is too large for it
                line.sendall(request)
            answer = b""
            while (
                not answer.endswith(b"\0") and len(answer) < _LONGEST_ANSWER and (piece := line.recv(_LONGEST_ANSWER))
            ):
                answer += piece
    except OSError as error:
        raise ScannerFault(f"it cannot be reached ({error.strerror or type(error).__name__})") from error
    return answer.rstrip(b"\0\n").decode("utf-8", "replace")
