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
_BULK = 100
_BULK_CONNECTIONS = 4
_ROUNDS = 3
_SECONDS = 3.0


def row(engine: str) -> Row:
    """Measure single requests in turns with the bare handler, and take the medians."""
    return _measured(f"accept.{engine}", engine, "", notification("@N"), 1)


def bulk_row(engine: str) -> Row:
    """Measure notifications that come by the hundred, beside the requests of the bare handler."""
    hundred = {"notifications": [notification(f"@N-{number}") for number in range(_BULK)]}
    return _measured(f"accept_bulk.{engine}", engine, "/bulk", hundred, _BULK)


def _measured(name: str, engine: str, path: str, body: dict[str, Any], each: int) -> Row:
    """Measure a body of ``each`` notifications."""
    port, bare_port = processes.free_port(), processes.free_port()
    with installation(engine, PORT=str(port)) as installed:
        token = access_tokens.issue(installed.lab.client.client_id, SCOPES)
        plan = {
            "connections": _CONNECTIONS if each == 1 else _BULK_CONNECTIONS,
            "seconds": _SECONDS,
            "warm_up": 1,
            "headers": {"Authorization": f"Bearer {token}"},
        }
        single = {"body": json.dumps(notification("@N")), "connections": _CONNECTIONS}
        bare = (sys.executable, "-m", "tests.benchmarks.bare", str(bare_port))
        ours, limits = [], []
        with (
            processes.running(*processes.CARILLON, "serve", env=installed.environment, log=installed.log) as web,
            processes.running(*bare, log=installed.log) as limit,
        ):
            processes.wait_for_port(port, web, installed.log)
            processes.wait_for_port(bare_port, limit, installed.log)
            for _ in range(_ROUNDS):
                ours.append(_loaded(port, path, plan | {"body": json.dumps(body)}))
                limits.append(_loaded(bare_port, "", plan | single))
    note = f"{plan['connections']} connections; bare p99 {_median(limits, 'p99_ms'):.0f} ms"
    done = rated(name, [one["rate"] * each for one in ours], [one["rate"] for one in limits], note)
    done.p50_ms, done.p99_ms = _median(ours, "p50_ms"), _median(ours, "p99_ms")
    return done


def _loaded(port: int, path: str, plan: dict[str, Any]) -> dict[str, Any]:
    figures = processes.load(f"http://127.0.0.1:{port}/notifications/v1{path}", **plan)
    if set(figures["statuses"]) != ({"200"} if path else {"202"}):
        raise RuntimeError(f"Not every request was accepted: {figures['statuses']}")
    return figures


def _median(figures: list[dict[str, Any]], member: str) -> float:
    return float(statistics.median(one[member] for one in figures))
