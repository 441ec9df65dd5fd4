"""The rows of the table: what is measured, and beside which bare limit."""

import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec

from backend.accounts.oauth import access_tokens
from backend.db import migrate, session
from backend.db.session import Database
from backend.intake.accept import accept_many
from backend.lib import settings
from backend.rendering import engine
from backend.rendering.model import RenderJob, Source
from backend.rendering.starters import starters
from tests.benchmarks import bare, processes
from tests.factories import Laboratory, laboratory, notification

SCOPES = "notifications:send notifications:read"
_CONNECTIONS = 32
_ROUNDS = 3


class Row(msgspec.Struct, omit_defaults=True):
    """One line of the table; rates are per second, ``ratio`` is ours to the limit."""

    name: str
    rate: float | None = None
    limit: float | None = None
    ratio: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    seconds: float | None = None
    note: str = ""


@contextmanager
def installation(**values: str) -> Iterator[tuple[Laboratory, dict[str, str], Path]]:
    """Make a throwaway installation with a laboratory; this process and its children share the settings."""
    with tempfile.TemporaryDirectory(prefix="carillon-bench-") as folder:
        environment = processes.environment(Path(folder), **values)
        with mock.patch.dict("os.environ", environment):
            settings.current.cache_clear()
            session.current.cache_clear()
            database: Database = session.current()
            migrate.upgrade(database)
            yield laboratory(database), environment, Path(folder)
            database.close()


def accept_row(name: str, seconds: float, **values: str) -> Row:
    """Measure accepted requests a second beside the bare handler's, in turns, and take the medians."""
    port = processes.free_port()
    with installation(PORT=str(port), **values) as (lab, environment, folder):
        token = access_tokens.issue(lab.client.client_id, SCOPES)
        plan = {
            "connections": _CONNECTIONS,
            "seconds": seconds,
            "warm_up": 1,
            "headers": {"Authorization": f"Bearer {token}"},
            "body": json.dumps(notification("@N")),
        }
        ours, limits = [], []
        bare_port, log = processes.free_port(), folder / "log"
        with processes.running(*processes.CARILLON, "serve", env=environment, log=log) as web:
            processes.wait_for_port(port, web, log)
            for _ in range(_ROUNDS):
                ours.append(_loaded(port, plan))
                with processes.running(sys.executable, "-m", "tests.benchmarks.bare", str(bare_port), log=log) as limit:
                    processes.wait_for_port(bare_port, limit, log)
                    limits.append(_loaded(bare_port, plan))
    row = _row(name, [one["rate"] for one in ours], [one["rate"] for one in limits])
    row.p50_ms, row.p99_ms = _median(ours, "p50_ms"), _median(ours, "p99_ms")
    row.note = f"{_CONNECTIONS} connections; bare p99 {_median(limits, 'p99_ms'):.0f} ms"
    return row


def _loaded(port: int, plan: dict[str, Any]) -> dict[str, Any]:
    figures = processes.load(f"http://127.0.0.1:{port}/notifications/v1", **plan)
    if set(figures["statuses"]) != {"202"}:
        raise RuntimeError(f"Not every request was accepted: {figures['statuses']}")
    return figures


def deliver_row(name: str, size: int, count: int, **values: str) -> Row:
    """Measure messages a second from a stored backlog into the sink beside smtplib with ready-made messages."""
    with processes.sink(count) as (port, sink):
        ours, limits = [], []
        for _ in range(2):
            with installation(EMAIL_PROVIDERS=f"smtp://127.0.0.1:{port}", **values) as (lab, environment, folder):
                _store_backlog(lab, count, size)
                with processes.running(*processes.CARILLON, "worker", env=environment, log=folder / "log"):
                    ours.append(processes.rate_of(sink, count))
            bare.send_ready_made(port, _ready_made(size), count)
            limits.append(processes.rate_of(sink, count))
    row = _row(name, ours, limits)
    row.note = f"{count} messages of {size // 1024} KB"
    return row


def _store_backlog(lab: Laboratory, count: int, size: int) -> None:
    lab.template("X_LETTER", "{{ fields.sample_id }}: {{ fields.filling }}", format="text")
    filling = ("All work and no play makes a dull message. " * (size // 40))[: size - 400]
    for start in range(0, count, 200):
        bodies = [
            notification(template_id="X_LETTER", fields={"sample_id": str(number), "filling": filling})
            for number in range(start, min(start + 200, count))
        ]
        accept_many([lab.submission(body) for body in bodies], lambda _priorities: None)


def _ready_made(size: int) -> bytes:
    head = b"From: a@lab.example\r\nTo: b@lab.example\r\nSubject: A sample has failed\r\n\r\n"
    line = b"All work and no play makes a dull message.\r\n"
    return (head + line * (size // len(line)))[:size] + b"\r\n"


def render_rows() -> list[Row]:
    """Measure rendering one sample's message from MJML, and compiling that template."""
    starter = next(one for one in starters() if one.identifier == "ACCESSIONING_FAILURE")
    source = Source(format=starter.format, source=starter.source, subject=starter.subject)
    job = RenderJob(key="benchmark", source=source, fields=starter.sample_fields)
    numbers = itertools.count()
    rendered = _seconds_each(lambda: engine.render(job), 300)
    compiled = _seconds_each(lambda: engine.render(msgspec.structs.replace(job, key=f"new {next(numbers)}")), 60)
    return [
        Row(name="render", rate=1 / rendered, seconds=rendered, note="one sample, HTML and text"),
        Row(name="mjml_compile", seconds=compiled - rendered, note=f"{source.source.count(chr(10))} lines of MJML"),
    ]


def _seconds_each(work: Callable[[], object], times: int) -> float:
    work()
    before = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - before) / times


def _row(name: str, ours: list[float], limits: list[float]) -> Row:
    rate, limit = statistics.median(ours), statistics.median(limits)
    return Row(name=name, rate=rate, limit=limit, ratio=rate / limit)


def _median(figures: list[dict[str, Any]], member: str) -> float:
    return float(statistics.median(one[member] for one in figures))
