"""What the processes count and measure, for Prometheus.

Every instrument has few label values, all of them words of ours: nothing that a client wrote becomes a label.

In one process the figures are in memory. The web and worker processes of one machine write theirs to files in one
directory instead (the client library's multiprocess mode), so that ``/metrics`` of any web process tells of all of
them. What processes on other machines count is not there: each machine's web answers for its own, and workers alone
on a machine are seen by the state that the database holds. Counts go on when one process is restarted; they begin
anew when the first process starts after all have ended.
"""

import fcntl
import logging
import os
import secrets
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Self

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)

# The client library's own variable; a process that starts others hands the directory on to them by it.
_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
_KINDS = ("counter", "histogram")
# Room for some two thousand figures, many times what the instruments below come to.
_FILE_BYTES = 524_288
_FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_SLOW = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_registry = CollectorRegistry()


class Durations(Histogram):
    """A histogram of times that come in groups."""

    def observe_all(self, amounts: Sequence[float]) -> None:
        """Observe several at once, in seconds: one by one each would write two figures to the shared file."""
        if not amounts:
            return
        self._sum.inc(sum(amounts))
        positions = [bisect_left(self._upper_bounds, amount) for amount in amounts]
        for position in set(positions):
            self._buckets[position].inc(positions.count(position))


_submissions = Counter(
    "carillon_submissions",
    "Notifications handed in, by what became of them",
    ["priority", "outcome"],
    registry=_registry,
)
_messages = Counter(
    "carillon_accepted_messages", "Messages accepted, as usage counts them", ["channel", "priority"], registry=_registry
)
_steps = Histogram(
    "carillon_step_seconds", "Time for a step of a whole group", ["step"], buckets=_FAST, registry=_registry
)
_groups = Histogram("carillon_step_size", "Members of a group", ["step"], buckets=_SIZES, registry=_registry)
_attempts = Counter(
    "carillon_attempts",
    "Attempts to hand a message over",
    ["channel", "provider", "priority", "outcome"],
    registry=_registry,
)
_send = Durations(
    "carillon_send_seconds",
    "Time for one attempt",
    ["channel", "provider", "priority"],
    buckets=_FAST,
    registry=_registry,
)
_latency = Durations(
    "carillon_accept_to_sent_seconds",
    "Time from acceptance (of a batch: from its dispatch) until the provider had the message",
    ["channel", "provider", "priority"],
    buckets=_SLOW,
    registry=_registry,
)
_receipts = Counter(
    "carillon_receipts", "What providers reported later", ["source", "kind", "effect"], registry=_registry
)
_callbacks = Counter("carillon_callbacks", "Status changes posted to client systems", ["outcome"], registry=_registry)


@lru_cache(maxsize=64)
def step(name: str) -> Histogram:
    """Return the time taken for groups in ``accept``, ``claim`` or ``render``, in seconds."""
    return _steps.labels(name)


@lru_cache(maxsize=64)
def group(name: str) -> Histogram:
    """Return the sizes of groups in such a step."""
    return _groups.labels(name)


@lru_cache(maxsize=64)
def submissions(priority: str, outcome: str) -> Counter:
    """Count notifications handed in; the outcome is ``accepted``, ``duplicate`` or ``refused``."""
    return _submissions.labels(priority, outcome)


@lru_cache(maxsize=64)
def messages(channel: str, priority: str) -> Counter:
    """Count messages accepted, in the ledger's unit."""
    return _messages.labels(channel, priority)


@lru_cache(maxsize=4096)
def attempts(channel: str, provider: str, priority: str, outcome: str) -> Counter:
    """Count attempts; the provider is named as operators have set it."""
    return _attempts.labels(channel, provider, priority, outcome)


@lru_cache(maxsize=1024)
def send_seconds(channel: str, provider: str, priority: str) -> Durations:
    """Return the durations of attempts."""
    return _send.labels(channel, provider, priority)


@lru_cache(maxsize=1024)
def accept_to_sent(channel: str, provider: str, priority: str) -> Durations:
    """Return the times from acceptance until a provider had the message."""
    return _latency.labels(channel, provider, priority)


@lru_cache(maxsize=256)
def receipts(source: str, kind: str, effect: str) -> Counter:
    """Count reports: ``applied``, ``recorded`` (no change), ``repeated``, ``unknown`` (given up) or ``forged``."""
    return _receipts.labels(source, kind, effect)


@lru_cache(maxsize=8)
def callbacks(outcome: str) -> Counter:
    """Count posts to client systems: ``delivered``, ``retry``, ``failed`` (given up) or ``gone``."""
    return _callbacks.labels(outcome)


class timed:  # noqa: N801 - used like a function
    """Measure the block as one step of a group of ``size`` members; an empty group is not counted."""

    def __init__(self, name: str, size: int = 0) -> None:
        self._name = name
        self.size = size
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began
        if self.size:
            step(self._name).observe(self.seconds)
            group(self._name).observe(self.size)


class _Share:
    """This process's part in the directory: its name, and the lock that it holds for as long as it lives."""

    alive: IO[bytes] | None = None


def offer(data_dir: Path) -> None:
    """Name the directory for the processes that this one starts, and for itself; a directory named before stays."""
    os.environ.setdefault(_DIRECTORY, str(data_dir / "metrics"))


def share() -> None:
    """Keep this process's figures in the directory from now on, if one is named; call before the first observation.

    What was counted before would stay in memory, unseen. Where the directory cannot be used, as on a full disk, the
    figures stay in memory: no message shall wait for them.
    """
    named = os.environ.get(_DIRECTORY)
    if not named or _Share.alive is not None:
        return
    name = f"{os.getpid()}-{secrets.token_hex(4)}"  # process ids come back, and repeat between containers
    try:
        _Share.alive = _enter(Path(named), name)
    except OSError as error:
        logger.warning("Figures stay in this process: %s cannot be used (%s)", named, error.strerror)
        return
    values.ValueClass = values.MultiProcessValue(lambda: name)


def _enter(directory: Path, name: str) -> IO[bytes]:
    directory.mkdir(parents=True, exist_ok=True)
    with _exclusively(directory):
        _tidy(directory)
        for kind in _KINDS:
            _reserve(directory / f"{kind}_{name}.db")
        alive = (directory / f"{name}.alive").open("wb")
        fcntl.flock(alive, fcntl.LOCK_EX)
    return alive


def _reserve(file: Path) -> None:
    """Make a file with all its blocks: writing to one that the full disk has no block for would kill the process."""
    with file.open("ab") as opened:
        os.posix_fallocate(opened.fileno(), 0, _FILE_BYTES)


@contextmanager
def _exclusively(directory: Path) -> Iterator[None]:
    with (directory / "lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _tidy(directory: Path) -> None:
    """Add the figures of ended processes to one file of each kind, or forget them if none is alive any more.

    They must stay in the sums: a counter that falls would be read as one that began anew.
    """
    marks = list(directory.glob("*.alive"))
    ended = [mark for mark in marks if not _is_held(mark)]
    if len(ended) == len(marks):
        for file in directory.glob("*.db"):
            file.unlink()
    for mark in ended:
        for kind in _KINDS:
            file = directory / f"{kind}_{mark.stem}.db"
            if file.exists():
                _fold(file, directory / f"{kind}_ended.db")
        mark.unlink()


def _is_held(mark: Path) -> bool:
    """Tell whether the process is alive: the system lets go of its lock when it ends, in whatever way."""
    with mark.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _fold(file: Path, into: Path) -> None:
    _reserve(into)
    taken = file.rename(file.with_suffix(".taken"))  # rather lost than counted twice, should this process end here
    whole = MmapedDict(str(into))
    for key, value, _timestamp, _position in MmapedDict.read_all_values_from_file(str(taken)):
        whole.write_value(key, whole.read_value(key)[0] + value, 0.0)
    whole.close()
    taken.unlink()


def exposition(*state: Collector) -> bytes:
    """Write all figures in Prometheus's text format, those of ``state`` after those of the processes."""
    registry = CollectorRegistry()
    for collector in state:
        registry.register(collector)
    if _Share.alive is None:
        return generate_latest(_registry) + generate_latest(registry)
    directory = Path(os.environ[_DIRECTORY])
    shared = CollectorRegistry()
    with _exclusively(directory):
        try:
            _tidy(directory)
        except OSError as error:
            logger.warning("Figures of ended processes cannot be put together: %s", error.strerror)
        MultiProcessCollector(shared, path=str(directory))
        return generate_latest(shared) + generate_latest(registry)
