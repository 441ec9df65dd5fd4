"""Accepted requests a second, beside the same framework and server answering an empty JSON POST."""

import json
import statistics
import sys
from typing import Any

from backend.accounts.oauth import access_tokens
from tests.benchmarks import processes
from tests.benchmarks.table import Row, installation, rated
from tests.factories import notification

SCOPES = "notifications:send notifications:read"
_CONNECTIONS = 32
_ROUNDS = 3
_SECONDS = 3.0


def row(engine: str) -> Row:
    """Measure in turns with the bare handler, and take the medians."""
    port, bare_port = processes.free_port(), processes.free_port()
    with installation(engine, PORT=str(port)) as place:
        token = access_tokens.issue(place.lab.client.client_id, SCOPES)
        plan = {
            "connections": _CONNECTIONS,
            "seconds": _SECONDS,
            "warm_up": 1,
            "headers": {"Authorization": f"Bearer {token}"},
            "body": json.dumps(notification("@N")),
        }
        bare = (sys.executable, "-m", "tests.benchmarks.bare", str(bare_port))
        ours, limits = [], []
        with (
            processes.running(*processes.CARILLON, "serve", env=place.environment, log=place.log) as web,
            processes.running(*bare, log=place.log) as limit,
        ):
            processes.wait_for_port(port, web, place.log)
            processes.wait_for_port(bare_port, limit, place.log)
            for _ in range(_ROUNDS):
                ours.append(_loaded(port, plan))
                limits.append(_loaded(bare_port, plan))
    note = f"{_CONNECTIONS} connections; bare p99 {_median(limits, 'p99_ms'):.0f} ms"
    done = rated(f"accept.{engine}", [one["rate"] for one in ours], [one["rate"] for one in limits], note)
    done.p50_ms, done.p99_ms = _median(ours, "p50_ms"), _median(ours, "p99_ms")
    return done


def _loaded(port: int, plan: dict[str, Any]) -> dict[str, Any]:
    figures = processes.load(f"http://127.0.0.1:{port}/notifications/v1", **plan)
    if set(figures["statuses"]) != {"202"}:
        raise RuntimeError(f"Not every request was accepted: {figures['statuses']}")
    return figures


def _median(figures: list[dict[str, Any]], member: str) -> float:
    return float(statistics.median(one[member] for one in figures))
