"""Bodies of notifications that carry files: larger than all others may be, and few of them in memory at a time."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any

import msgspec
from litestar import Request
from litestar.concurrency import sync_to_thread
from litestar.exceptions import HTTPException

from backend.api.bodies import MAX_BYTES
from backend.lib import settings
from backend.lib.problems import Problem

# 10 MiB of files in base64, 1 MiB for the rest, and what escaped slashes or the names of many files add.
_USUAL = 16
# What the requests at hand may have in memory beyond the MiB that each may: a body is there as text and decoded too.
_IN_MEMORY = 8 * _USUAL * 1024 * 1024


# No body may be larger, whatever the settings say: it is what one service may have in memory.
MOST_BYTES = _IN_MEMORY // 2


def most_bytes() -> int:
    """Return how large a body with files may be: more than usual where larger files than usual may go as links."""
    linked = ceil(settings.current().linked_bytes / 1024 / 1024 * 4 / 3) + 1
    return min(max(_USUAL, linked) * 1024 * 1024, MOST_BYTES)


def _too_large() -> Problem:
    most = most_bytes() // 1024 // 1024
    detail = (
        "The body is larger than 1 MiB (1,048,576 bytes) beside the contents of attachments, or with these than"
        f" {most} MiB."
    )
    return Problem("too_large", detail)


class _File(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw(b"")


class _Channel(msgspec.Struct):
    attachments: list[_File] = []


class _Notification(msgspec.Struct):
    channels: list[_Channel] = []


class _Several(msgspec.Struct):
    notifications: list[_Notification] = []


# What base64 has none of: with many of these, a body that cannot be read is not large because of its files.
_STRUCTURE, _MOST_STRUCTURE = (b",", b"[", b"{"), 65_536

_one, _several = msgspec.json.Decoder(_Notification), msgspec.json.Decoder(_Several)


class MemoryBudget:
    """The memory that the large bodies of this process share, of which a service has half at most."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._share = most // 2
        self._held: Counter[int] = Counter()

    @contextmanager
    def taken(self, service_id: int) -> Iterator["Reader"]:
        """Give back what a request's body takes up when the request has been dealt with."""
        reader = Reader(self, service_id)
        try:
            yield reader
        finally:
            self._left += reader.held
            self._held[service_id] -= reader.held
            self._held = +self._held

    def take(self, service_id: int, size: int) -> None:
        """Take some of it.

        Raises:
            Problem: ``unavailable`` if there is not so much.
        """
        if size > min(self._left, self._share - self._held[service_id]):
            detail = "Many large requests are being read at this moment; nothing was kept. Try again in 5 seconds."
            raise Problem("unavailable", detail, headers={"Retry-After": "5"})
        self._left -= size
        self._held[service_id] += size


class Reader:
    """Reads one body; ``held`` is what it takes up of the budget."""

    def __init__(self, memory: MemoryBudget, service_id: int) -> None:
        self.held = 0
        self._memory = memory
        self._service_id = service_id

    async def read(self, request: Request[Any, Any, Any], *, several: bool = False, refused: bool = False) -> bytes:
        """Read a body of one notification, or of ``several``; what is ``refused`` whatever it says takes up no room.

        Raises:
            Problem: ``too_large``, or ``unavailable`` if too many others are large at this moment.
        """
        pieces: list[bytes] = []
        size, most = 0, MAX_BYTES if refused else most_bytes()
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and len(announced) < 20 and int(announced) > most:
            raise _too_large()
        try:
            async for piece in request.stream():
                size += len(piece)
                if size > most:
                    raise _too_large()
                self._hold(size - MAX_BYTES)
                pieces.append(piece)
        except HTTPException as error:
            if error.status_code != 413:
                raise
            raise _too_large() from error
        raw = b"".join(pieces)
        if len(raw) > MAX_BYTES and not await sync_to_thread(_fits, raw, several=several):
            raise _too_large()
        return raw

    def _hold(self, beyond: int) -> None:
        if beyond > self.held:
            self._memory.take(self._service_id, beyond - self.held)
            self.held = beyond


def _fits(raw: bytes, *, several: bool) -> bool:
    """Tell whether a body is as small as others beside the files in it; of one that is no JSON that is said later."""
    if b'"attachments"' not in raw:
        return False
    try:
        notifications = _several.decode(raw).notifications if several else [_one.decode(raw)]
    except msgspec.ValidationError:
        return False
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return sum(map(raw.count, _STRUCTURE)) <= _MOST_STRUCTURE
    files = [file for one in notifications for channel in one.channels for file in channel.attachments]
    return (
        len(raw) - sum(len(file.content) for file in files if bytes(memoryview(file.content)[:1]) == b'"') <= MAX_BYTES
    )


memory = MemoryBudget(_IN_MEMORY)
