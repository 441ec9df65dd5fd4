"""Names of processes by which others on the same machine can tell for certain whether they still run."""

import enum
import hashlib
import os
import re
import secrets
import socket
from functools import lru_cache
from pathlib import Path

_PROC = Path("/proc")
# ``<host>/<machine>/<process id>.<start>/<chance>``, and whatever is put behind that.
_NAME = re.compile(r"[^/]*/(?P<machine>[0-9a-f]{12})/(?P<pid>\d+)\.(?P<start>\d+)/.*")
_DEAD_STATES = {"Z", "X"}


class Fate(enum.Enum):
    """What this machine knows of a process."""

    RUNNING = enum.auto()  # it may be stopped for the moment
    GONE = enum.auto()
    UNKNOWN = enum.auto()  # it is another machine's, or cannot be looked for


class _Seen(enum.Enum):
    HIDDEN = enum.auto()


@lru_cache(maxsize=1)
def _machine() -> str | None:
    """Name the kernel since its last start together with the space of process ids, in which an id means one process.

    A host's name does not do: copies of a machine have the same. ``None`` where the system does not say it.
    """
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = (_PROC / "self/ns/pid").readlink().name
    except OSError:
        return None
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:12]


def name() -> str:
    """Make a name for this process, of at most 60 characters: machine, process id, its start, and chance."""
    host = socket.gethostname().replace("/", "-")[:16]
    start = _start(os.getpid())
    known = start if isinstance(start, int) else 0
    return f"{host}/{_machine() or 'unknown'}/{os.getpid()}.{known}/{secrets.token_hex(3)}"


def fate(process: str) -> Fate:
    """Tell what became of a process that ``name`` has named, on whatever machine.

    A process id that was given anew is told by the start of its process.
    """
    found = _NAME.fullmatch(process)
    if found is None or found["machine"] != _machine():
        return Fate.UNKNOWN
    pid, start = int(found["pid"]), int(found["start"])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return Fate.GONE
    except PermissionError:
        pass  # there is one, of another user
    except OverflowError:
        return Fate.UNKNOWN
    now = _start(pid)
    if now is _Seen.HIDDEN or start == 0:
        return Fate.RUNNING
    return Fate.RUNNING if now == start else Fate.GONE


def _start(pid: int) -> int | _Seen | None:
    """Return when a process was started, in ticks since the machine was (proc(5), ``/proc/pid/stat``).

    ``None`` where it has ended and only waits for its parent to ask after it; ``HIDDEN`` where that cannot be read.
    """
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return _Seen.HIDDEN
    # The name of its program stands in brackets and may hold anything; behind it, fields 3, 20 and 22.
    fields = text.rpartition(")")[2].split()
    state, threads, start = fields[0], int(fields[17]), int(fields[19])
    return None if state in _DEAD_STATES and threads <= 1 else start
