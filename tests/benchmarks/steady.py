"""Minutes of steady load on one web and one worker process: the memory stays flat and the ledger even.

``python -m tests.benchmarks.steady [--minutes 10] [--rate N] [sqlite | postgresql]`` sends N requests a second, half
of what ``make bench`` measured last (the lower of accepting and delivering) unless it is given, and prints a line
every ten seconds. It ends with 1 if a process grew, something was not accepted or not sent, or the ledger is uneven.
"""

import argparse
import json
import math
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from backend.accounts.oauth import access_tokens
from backend.db.database import Database
from backend.monitoring import gauges, ledger
from tests.benchmarks import processes
from tests.benchmarks.accept import SCOPES
from tests.benchmarks.table import ENGINES, Row, installation
from tests.factories import notification

_REPORT = Path(".data") / "bench.json"
_SAMPLE_SECONDS = 10.0
_DRAIN_SECONDS = 120.0
# Between the second and the last quarter of the time; the first fills caches and pools.
_MOST_GROWTH = 0.05


class Sample(msgspec.Struct):
    """The state at one moment: seconds since the beginning, resident megabytes, deliveries that wait."""

    seconds: float
    web: float
    worker: float
    waiting: int


def half_the_measured_rate(engine: str) -> float | None:
    """Return half of the lower of the last rates of accepting and delivering; None without a report of both."""
    if not _REPORT.exists():
        return None
    rows = {row.name: row.rate for row in msgspec.json.decode(_REPORT.read_bytes(), type=list[Row])}
    rates = [rows.get(f"accept.{engine}"), rows.get(f"deliver.{engine}")]
    known = [rate for rate in rates if rate is not None]
    return min(known) / 2 if len(known) == len(rates) else None


def resident(process_id: int) -> float:
    """Return a process's resident memory in megabytes."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def waiting(database: Database) -> int:
    """Count the deliveries that are not finished."""
    with database.read() as session:
        found = gauges.measure(session)
    return sum(found.queued.values()) + sum(found.retrying.values()) + found.sending


def is_flat(samples: list[Sample], process: str) -> bool:
    """Tell whether a process's memory grew no more than it may."""
    sizes = [getattr(sample, process) for sample in samples]
    quarter = max(1, len(sizes) // 4)
    early, late = sizes[quarter : 2 * quarter] or sizes, sizes[-quarter:]
    return bool(statistics.median(late) <= statistics.median(early) * (1 + _MOST_GROWTH))


def run(engine: str, rate: float, seconds: float) -> bool:
    """Load, watch and report."""
    port = processes.free_port()
    with (
        processes.sink(1_000_000_000) as sink,
        installation(engine, PORT=str(port), EMAIL_PROVIDERS=sink.address) as it,
    ):
        database, log = it.lab.database, it.log
        serve, work = (*processes.CARILLON, "serve"), (*processes.CARILLON, "worker")
        with (
            processes.running(*serve, env=it.environment, log=log) as web,
            processes.running(*work, env=it.environment, log=log) as worker,
        ):
            processes.wait_for_port(port, web, log)
            parts: list[dict[str, Any]] = []
            url, client = f"http://127.0.0.1:{port}/notifications/v1", it.lab.client.client_id
            load = threading.Thread(target=lambda: parts.extend(_parts(url, client, rate, seconds)))
            load.start()
            samples = _watch(load, web.pid, worker.pid, database)
            drained = _drain(database)
        with database.read() as session:
            entries = ledger.balance(session)
    for entry in entries:
        print(entry.describe())
    return _report(_sum(parts), rate, samples, entries, drained=drained)


def _parts(url: str, client_id: str, rate: float, seconds: float) -> Iterator[dict[str, Any]]:
    """Load in equal parts, each with a token of its own: none is used for longer than half of its life."""
    count = math.ceil(seconds / (access_tokens.LIFETIME_SECONDS / 2))
    for _ in range(count):
        yield processes.load(
            url,
            connections=32,
            seconds=seconds / count,
            warm_up=0,
            rate=rate,
            body=json.dumps(notification("@N")),
            headers={"Authorization": f"Bearer {access_tokens.issue(client_id, SCOPES)}"},
        )


def _sum(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sum up the figures of equal parts; the greatest delay is that of the worst."""
    statuses: Counter[str] = Counter()
    for part in parts:
        statuses.update(part["statuses"])
    rate, slowest = statistics.mean(part["rate"] for part in parts), max(part["p99_ms"] for part in parts)
    return {"rate": rate, "p99_ms": slowest, "statuses": dict(statuses)}


def _watch(load: threading.Thread, web: int, worker: int, database: Database) -> list[Sample]:
    samples: list[Sample] = []
    began = time.monotonic()
    print(f"{'s':>6}{'web MB':>9}{'worker MB':>11}{'waiting':>9}")
    while load.is_alive():
        load.join(_SAMPLE_SECONDS)
        sample = Sample(time.monotonic() - began, resident(web), resident(worker), waiting(database))
        samples.append(sample)
        print(f"{sample.seconds:>6.0f}{sample.web:>9.1f}{sample.worker:>11.1f}{sample.waiting:>9}", flush=True)
    return samples


def _drain(database: Database) -> float | None:
    """Wait until nothing waits any more; return how long that took, or None if it takes too long."""
    began = time.monotonic()
    while waiting(database):
        if time.monotonic() - began > _DRAIN_SECONDS:
            return None
        threading.Event().wait(0.2)
    return time.monotonic() - began


def _report(
    figures: dict[str, Any], rate: float, samples: list[Sample], entries: list[ledger.Entry], *, drained: float | None
) -> bool:
    accepted = sum(entry.accepted for entry in entries)
    answered = sum(figures["statuses"].values())
    findings = {
        f"{figures['rate']:.0f} of {rate:.0f} requests a second, p99 {figures['p99_ms']:.0f} ms": (
            figures["rate"] > 0.95 * rate and set(figures["statuses"]) == {"202"}
        ),
        f"{accepted} in the ledger, {answered} answered: {figures['statuses']}": accepted == answered,
        "the ledger is even": not any(entry.imbalance for entry in entries),
        "everything was sent" if drained is None else f"everything was sent, {drained:.1f} s after the last request": (
            drained is not None and sum(entry.sent for entry in entries) == accepted
        ),
        "the web process's memory is flat": is_flat(samples, "web"),
        "the worker process's memory is flat": is_flat(samples, "worker"),
    }
    for sentence, true in findings.items():
        print(f"{'ok' if true else 'NOT SO':<8}{sentence}")
    return all(findings.values())


def main() -> None:
    """Run; exit 1 if anything is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.steady")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, help="requests a second")
    parser.add_argument("engine", nargs="?", choices=ENGINES, default="sqlite")
    given = parser.parse_args()
    rate = given.rate or half_the_measured_rate(given.engine)
    if rate is None:
        parser.error("`make bench` has left no rates: run it, or give --rate")
    sys.exit(0 if run(given.engine, rate, given.minutes * 60) else 1)


if __name__ == "__main__":
    main()
