"""Tens of thousands of requests of every kind to one web process: no fault of ours, no growth.

``python -m tests.benchmarks.soak [--requests 20000] [--seed 1]`` sends valid, wrong and hostile requests to every
documented operation, with a valid token, a wrong one and none, and prints the answers by status and the memory of the
web process on the way. It ends with 1 if anything was answered with 5xx or not as documented, or the process grew.
"""

import argparse
import itertools
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx

from backend.accounts import clients
from backend.accounts.oauth import access_tokens
from tests.benchmarks import processes
from tests.benchmarks.mix import Asked, Mix
from tests.benchmarks.steady import resident
from tests.benchmarks.table import installation

_THREADS = 4
_MARKS = (500, 2_000, 10_000)
# From the half of the requests to the last; the first half fills caches and pools.
_MOST_GROWTH = 0.05


class Tally:
    """What came of the requests, counted by all threads; ``memory`` holds megabytes by number of requests."""

    def __init__(self, process_id: int, requests: int) -> None:
        self._process_id = process_id
        self._lock = threading.Lock()
        self._marks = {mark for mark in (*_MARKS, requests // 2, requests) if mark <= requests}
        self.statuses: Counter[int] = Counter()
        self.operations: Counter[str] = Counter()
        self.odd: list[str] = []
        self.memory: dict[int, float] = {}

    def count(self, asked: Asked, status: int) -> None:
        """Count an answer, and look at the process now and then."""
        with self._lock:
            self.statuses[status] += 1
            self.operations[asked.operation] += 1
            if status >= 500 or not asked.names(status):
                self.odd.append(f"{status} to {asked}")
            done = self.statuses.total()
            if done in self._marks:
                self.memory[done] = resident(self._process_id)
                print(f"{done:>8} requests {self.memory[done]:>8.1f} MB", flush=True)


def run(requests: int, seed: int) -> bool:
    """Send, watch and report."""
    port = processes.free_port()
    base = f"http://127.0.0.1:{port}"
    with installation("sqlite", PORT=str(port), BASE_URL=base) as it:
        serve = (*processes.CARILLON, "serve")
        with processes.running(*serve, env=it.environment, log=it.log) as web:
            processes.wait_for_port(port, web, it.log)
            document = httpx.get(f"{base}/docs/openapi.json", timeout=60).json()
            issue = partial(access_tokens.issue, it.lab.client.client_id, " ".join(clients.SCOPES))
            tally, numbers = Tally(web.pid, requests), itertools.count()
            with ThreadPoolExecutor(_THREADS) as threads:
                mixes = [Mix(seed * _THREADS + one, document, it.lab.client, issue) for one in range(_THREADS)]
                done = [threads.submit(_send, base, mix, tally, numbers, requests) for mix in mixes]
            for one in done:
                one.result()
            alive = web.poll() is None
        lines = it.log.read_text()
    return _report(tally, lines, requests, alive=alive)


def _send(base: str, mix: Mix, tally: Tally, numbers: "itertools.count[int]", requests: int) -> None:
    with httpx.Client(base_url=base, timeout=60, trust_env=False) as http:
        while next(numbers) < requests:
            asked = mix.next()
            answer = http.send(asked.request(http))
            mix.learn(answer)
            tally.count(asked, answer.status_code)


def _report(tally: Tally, lines: str, requests: int, *, alive: bool) -> bool:
    for operation, count in sorted(tally.operations.items()):
        print(f"{count:>8} {operation}")
    print("answers  ", *(f"{status}: {count}" for status, count in sorted(tally.statuses.items())))
    for line in tally.odd[:20]:
        print(f"         {line}")
    half, end = tally.memory[requests // 2], tally.memory[requests]
    findings: dict[str, Any] = {
        f"{tally.statuses.total()} requests answered, the process is there": alive,
        f"{sum(status >= 500 for status in tally.statuses.elements())} faults of ours, {len(tally.odd)} answers that "
        "are none of the documented": not tally.odd,
        "no traceback in the log": "Traceback" not in lines,
        f"{half:.1f} MB after half of them, {end:.1f} MB at the end": end <= half * (1 + _MOST_GROWTH),
    }
    for sentence, true in findings.items():
        print(f"{'ok' if true else 'NOT SO':<8} {sentence}")
    return all(findings.values())


def main() -> None:
    """Run; exit 1 if anything is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sys.exit(0 if run(given.requests, given.seed) else 1)


if __name__ == "__main__":
    main()
