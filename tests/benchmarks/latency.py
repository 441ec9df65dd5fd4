"""HIGH notifications from the POST to the SMTP server's 250: on an idle installation, and while a backlog drains."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2

from backend.accounts.oauth import access_tokens
from backend.delivery import tasks
from tests.benchmarks import processes
from tests.benchmarks.accept import SCOPES
from tests.benchmarks.deliver import store_backlog
from tests.benchmarks.processes import Sink
from tests.benchmarks.table import Row, installation
from tests.factories import notification

_PER_SECOND = 20
_IDLE = 100
_LOADED = 100
_BACKLOG = 6000


def row(engine: str) -> Row:
    """Measure 20 HIGH notifications a second, idle and under a NORMAL backlog of thousands."""
    port = processes.free_port()
    with (
        processes.sink(_BACKLOG * 10) as sink,
        installation(engine, PORT=str(port), EMAIL_PROVIDERS=sink.address) as installed,
        processes.running(*processes.CARILLON, "serve", env=installed.environment, log=installed.log) as web,
        processes.running(*processes.CARILLON, "worker", env=installed.environment, log=installed.log),
    ):
        processes.wait_for_port(port, web, installed.log)
        token = access_tokens.issue(installed.lab.client.client_id, SCOPES)
        send = sender(port, token)
        measure(send, sink, "warm", 10)
        idle = measure(send, sink, "idle", _IDLE)
        store_backlog(installed.lab, _BACKLOG, 1024)
        tasks.wake({1: ()})
        loaded = measure(send, sink, "loaded", _LOADED)
    figures = Row(name=f"high_latency.{engine}", p50_ms=_at(idle, 0.5), p99_ms=_at(idle, 0.99))
    figures.ratio = _at(loaded, 0.99) / _at(idle, 0.99)
    figures.note = f"idle; loaded p50 {_at(loaded, 0.5):.0f} ms, p99 {_at(loaded, 0.99):.0f} ms over {_BACKLOG} NORMAL"
    return figures


def sender(port: int, token: str) -> Callable[[str], float]:
    http = httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {token}"})

    def send(name: str) -> float:
        body = json.dumps(notification(f"@@{name}@@", priority="HIGH", content_type="text"))
        before = time.time()
        http.post("/notifications/v1", content=body, headers={"Content-Type": "application/json"}).raise_for_status()
        return before

    return send


def measure(send: Callable[[str], float], sink: Sink, prefix: str, count: int) -> list[float]:
    """Send at an even pace, whatever the answers take; return the milliseconds of each, in order of length."""
    start = time.monotonic() + 0.1

    def one(number: int) -> tuple[str, float]:
        time.sleep(max(0.0, start + number / _PER_SECOND - time.monotonic()))
        return f"{prefix}-{number}", send(f"{prefix}-{number}")

    with ThreadPoolExecutor(8) as threads:
        begun = dict(threads.map(one, range(count)))
    arrived = sink.arrivals(set(begun))
    return sorted((arrived[name] - begun[name]) * 1000 for name in begun)


def _at(ordered: list[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
