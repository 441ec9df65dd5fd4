"""What is remembered of the database outside of it: by this machine in a file, and by the queue if it is elsewhere."""

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

import msgspec

from backend.lib import queue, settings
from backend.restored import marks


class Memory(msgspec.Struct, frozen=True):
    """The epoch and counter that were seen last; ``original`` is false for a file that was itself copied back."""

    epoch: str
    counter: int
    original: bool = True


class _Stored(msgspec.Struct):
    epoch: str
    counter: int
    file: str


def _name() -> str:
    """Name what is remembered by the database's address, so that another database is not taken for this one."""
    address = settings.current().database_url.rpartition("@")[2]  # without the password, which may change
    return f"installation-{hashlib.sha256(address.encode()).hexdigest()[:12]}"


def _path() -> Path:
    return settings.current().data_dir / f"{_name()}.json"


def recall() -> Memory | None:
    """Return what is remembered, if anything."""
    path = _path()
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
        return Memory(stored.epoch, stored.counter, stored.file == marks.of_file(path))
    except (OSError, msgspec.DecodeError):
        return None


def remember(epoch: str, counter: int) -> None:
    """Write down what was seen, whole or not at all, unless more of the same epoch is remembered already."""
    known = recall()
    if known is not None and known.original and known.epoch == epoch and known.counter >= counter:
        return
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(_Stored(epoch, counter, marks.of_file(temporary))))
        temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def queue_is_elsewhere() -> bool:
    """Tell whether the queue is on another server than the database, and not restored together with it."""
    configuration = settings.current()
    beside = configuration.database_url.replace("postgresql+psycopg:", "postgresql:", 1)
    return not configuration.queue_url.startswith("sqlite") and configuration.queue_url != beside


def recall_from_queue() -> Memory | None:
    """Return what the queue's storage remembers, if anything: for machines that are new.

    Whatever the storage raises when it cannot be used is raised.
    """
    try:
        stored = msgspec.json.decode(queue.recall(_name()) or b"", type=_Stored)
    except msgspec.DecodeError:
        return None
    return Memory(stored.epoch, stored.counter)


def tell_queue() -> None:
    """Have the queue's storage remember what this machine does; errors are as in ``recall_from_queue``."""
    known = recall()
    if known is not None:
        queue.remember(_name(), msgspec.json.encode(_Stored(known.epoch, known.counter, "")))
