"""One service floods with a slow template while another sends plain HIGH notifications: what the other feels.

``python -m tests.benchmarks.fairness [sqlite|postgresql] [SECONDS]`` prints the figures of both, and exits with 1 where
the other's HIGH waits longer than a second to be accepted or three to be sent, of a hundred at most one.
"""

import json
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx2
import msgspec

from backend.accounts.oauth import access_tokens
from backend.db import database as db
from backend.rendering import engine
from backend.rendering.model import RenderJob, Source
from tests.benchmarks import processes
from tests.benchmarks.accept import SCOPES
from tests.benchmarks.processes import Sink
from tests.benchmarks.table import installation
from tests.factories import Laboratory, laboratory, notification

THREADS = 20
ACCEPT_SECONDS, SEND_SECONDS = 1.0, 3.0
_PER_SECOND = 10
_SLOW = "{% for a in range(turns) %}{% for b in range(500) %}{{ [a, b]|sort|first }}{% endfor %}{% endfor %}"
_RENDER_SECONDS = 0.65
_TRIAL = 20
_EXPECTED = {202, 429, 503}


class Figures(msgspec.Struct, frozen=True):
    """What was measured, in seconds; ``flood`` counts the slow service's answers by status.

    ``odd`` are those of its answers that are neither accepted nor put off, ``unsaid`` counts those that were put off
    without saying why and until when.
    """

    accepted: list[float]
    sent: list[float]
    flood: dict[int, int]
    odd: list[str]
    unsaid: int

    def line(self) -> str:
        """Write the figures in one line."""
        quantiles = "; ".join(
            f"{word} p50 {at(found, 0.5) * 1000:.0f} ms, p99 {at(found, 0.99) * 1000:.0f} ms"
            for word, found in (("accepted", self.accepted), ("sent", self.sent))
        )
        told = f"{len(self.sent)} HIGH of another service: {quantiles}; the slow service was answered {self.flood}"
        return "\n".join([told, *self.odd])


def at(ordered: list[float], part: float) -> float:
    """Return a quantile of what is in order."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def measured(engine_name: str, seconds: float) -> Figures:
    """Start web and worker, flood from 20 threads, and send ten HIGH a second from another service."""
    port = processes.free_port()
    with (
        processes.sink(1_000_000) as sink,
        installation(engine_name, PORT=str(port), EMAIL_PROVIDERS=sink.address) as installed,
        processes.running(*processes.CARILLON, "serve", env=installed.environment, log=installed.log) as web,
        processes.running(*processes.CARILLON, "worker", env=installed.environment, log=installed.log),
    ):
        processes.wait_for_port(port, web, installed.log)
        other = laboratory(db.current(), "Archive")
        installed.lab.template("X_SLOW", _SLOW)
        flood = _Flood(port, installed.lab, _rounds())
        with flood:
            flood.wait(THREADS // 2)
            return _other(port, other, sink, int(seconds * _PER_SECOND), flood)


def _rounds() -> int:
    """Find how many turns the slow template takes for its time on this machine."""
    job = RenderJob("", Source("html", _SLOW), {"turns": _TRIAL}, want_html=False, want_text=False)
    engine.render(job)
    began = time.thread_time()
    engine.render(job)
    return max(1, int(_TRIAL * _RENDER_SECONDS / (time.thread_time() - began)))


class _Flood:
    """The slow service's threads: each sends the next as soon as it is answered, HIGH and NORMAL in turns."""

    def __init__(self, port: int, lab: Laboratory, rounds: int) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._lab, self._rounds = lab, rounds
        self._stop = threading.Event()
        self._answered = threading.Condition()
        self.statuses: Counter[int] = Counter()
        self.odd: list[str] = []
        self.unsaid = 0
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(THREADS)]

    def __enter__(self) -> "_Flood":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_fault: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def wait(self, count: int) -> None:
        """Wait until so many have been answered."""
        with self._answered:
            if not self._answered.wait_for(lambda: self.statuses.total() >= count, 120):
                raise RuntimeError("The flood was not answered.")

    def _run(self, number: int) -> None:
        token = access_tokens.issue(self._lab.client.client_id, SCOPES)
        headers = {"Authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=self._url, headers=headers, trust_env=False, timeout=60) as http:
            count = 0
            while not self._stop.is_set():
                count += 1
                fields = {"turns": self._rounds, "name": f"{number}-{count}"}
                priority = "HIGH" if count % 2 else "NORMAL"
                body = notification(template_id="X_SLOW", fields=fields, priority=priority)
                self._note(http.post("/notifications/v1", json=body))

    def _note(self, answer: httpx2.Response) -> None:
        said = answer.status_code != 429 or (
            "retry-after" in answer.headers and answer.json().get("notification_status") == "FAILED"
        )
        with self._answered:
            self.statuses[answer.status_code] += 1
            self.unsaid += not said
            if answer.status_code not in _EXPECTED:
                self.odd.append(f"{answer.status_code}: {answer.text}")
            self._answered.notify_all()


def _other(port: int, lab: Laboratory, sink: Sink, count: int, flood: _Flood) -> Figures:
    """Send plain HIGH notifications at an even pace, whatever the answers take."""
    token = access_tokens.issue(lab.client.client_id, SCOPES)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, timeout=60) as http:

        def one(name: str, wait: float = 0.0) -> tuple[str, float, float]:
            time.sleep(max(0.0, wait - time.monotonic()))
            changes = {"recipient": ["A_LAB"], "template_id": "A_SAMPLE", "content_type": "text", "priority": "HIGH"}
            body = json.dumps(notification(f"@@{name}@@", **changes))
            began = time.time()
            http.post("/notifications/v1", content=body).raise_for_status()
            return name, began, time.time() - began

        one("first")
        sink.arrivals({"first"})  # now the processes that render have been started
        start = time.monotonic() + 0.1
        names = [f"other-{number}" for number in range(count)]
        with ThreadPoolExecutor(16) as threads:
            done = list(threads.map(one, names, [start + number / _PER_SECOND for number in range(count)]))
    arrived = sink.arrivals({name for name, _, _ in done})
    sent = sorted(arrived[name] - began for name, began, _ in done)
    return Figures(sorted(took for _, _, took in done), sent, dict(flood.statuses), flood.odd, flood.unsaid)


def main() -> int:
    """Measure as the command line says."""
    engine_name = sys.argv[1] if len(sys.argv) > 1 else "sqlite"
    figures = measured(engine_name, float(sys.argv[2]) if len(sys.argv) > 2 else 20.0)
    print(figures.line())
    return int(at(figures.accepted, 0.99) > ACCEPT_SECONDS or at(figures.sent, 0.99) > SEND_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
