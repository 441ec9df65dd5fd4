"""Asking ClamAV's daemon whether a file holds malware: its command INSTREAM, over TCP (``man 8 clamd``)."""

import re
import socket
from contextlib import suppress
from struct import pack

_CONNECT_SECONDS = 5.0
_SECONDS = 60.0  # for each answer: large documents take some seconds
_PIECE = 64 * 1024
_LONGEST_ANSWER = 4096
_FOUND = re.compile(r"stream: (.{1,200}) FOUND", re.DOTALL)


class ScannerFault(Exception):
    """The scanner said nothing that tells whether a file is clean; the text says what it did."""


def found_in(place: tuple[str, int], content: bytes) -> str | None:
    """Return the name of what a scanner finds in a file; None if it is clean.

    Raises:
        ScannerFault: if the scanner at ``place``, a host and a port, does not say.
    """
    pieces = [content[at : at + _PIECE] for at in range(0, len(content), _PIECE)]
    stream = b"".join(pack(">I", len(piece)) + piece for piece in pieces)
    answer = _asked(place, b"zINSTREAM\0" + stream + pack(">I", 0))
    if answer == "stream: OK":
        return None
    if found := _FOUND.fullmatch(answer):
        return found[1]
    raise ScannerFault(f"it answered {answer[:200]!r}")


def ping(place: tuple[str, int]) -> None:
    """See that a scanner answers.

    Raises:
        ScannerFault: if it does not.
    """
    answer = _asked(place, b"zPING\0")
    if answer != "PONG":
        raise ScannerFault(f"it answered {answer[:200]!r}")


def _asked(place: tuple[str, int], request: bytes) -> str:
    try:
        with socket.create_connection(place, _CONNECT_SECONDS) as line:
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
