"""What one message costs the web process, the worker and PostgreSQL, in seconds of a processor."""

import json
from pathlib import Path

import msgspec

from backend.accounts.oauth import access_tokens
from tests.benchmarks import processes
from tests.benchmarks.accept import SCOPES
from tests.benchmarks.deliver import store_backlog
from tests.benchmarks.table import Installation, installation
from tests.factories import notification

_TICKS = 100  # of a second, in which Linux counts (USER_HZ)
_SECONDS = 5.0
_BACKLOG = 4000


class Costs(msgspec.Struct, frozen=True):
    """Seconds of a processor for one message, by who spends them and for what."""

    web_accept: float
    database_accept: float
    worker_deliver: float
    database_deliver: float

    def __str__(self) -> str:
        """Write them in microseconds."""
        return ", ".join(f"{name} {seconds * 1e6:.0f} µs" for name, seconds in msgspec.structs.asdict(self).items())


def measure() -> Costs:
    """Measure on a throwaway installation on PostgreSQL."""
    web, database_accept = _accept()
    # What it costs to start is the same for a single message.
    (worker_start, database_start), (worker, database) = _deliver(1), _deliver(_BACKLOG)
    more = _BACKLOG - 1
    return Costs(web, database_accept, (worker - worker_start) / more, (database - database_start) / more)


def _accept() -> tuple[float, float]:
    port = processes.free_port()
    with installation("postgresql", PORT=str(port)) as installed:
        token = access_tokens.issue(installed.lab.client.client_id, SCOPES)
        with processes.running(*processes.CARILLON, "serve", env=installed.environment, log=installed.log) as web:
            processes.wait_for_port(port, web, installed.log)
            before = spent(web.pid), spent_by_postgresql(installed)
            figures = processes.load(
                f"http://127.0.0.1:{port}/notifications/v1",
                connections=32,
                seconds=_SECONDS,
                warm_up=0,
                headers={"Authorization": f"Bearer {token}"},
                body=json.dumps(notification("@N")),
            )
            accepted = figures["statuses"]["202"]
            return (
                (spent(web.pid) - before[0]) / accepted,
                (spent_by_postgresql(installed) - before[1]) / accepted,
            )


def _deliver(count: int) -> tuple[float, float]:
    """Return what the worker and the database spend from its start until so many messages are sent."""
    with processes.sink(count) as sink, installation("postgresql", EMAIL_PROVIDERS=sink.address) as installed:
        store_backlog(installed.lab, count, 1024)
        before = spent_by_postgresql(installed)
        with processes.running(*processes.CARILLON, "worker", env=installed.environment, log=installed.log) as worker:
            sink.wait()
            return spent(worker.pid), spent_by_postgresql(installed) - before


def spent(process_id: int, *, with_children: bool = False) -> float:
    """Return the seconds that a process has used; those of its children only when they have ended."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11 : 15 if with_children else 13]) / _TICKS


def spent_by_postgresql(installed: Installation) -> float:
    """Return the seconds that the server has used: all its processes, also those that have ended."""
    server = int((installed.folder / "postgresql" / "postmaster.pid").read_text().split()[0])
    running = [int(child) for child in Path(f"/proc/{server}/task/{server}/children").read_text().split()]
    return spent(server, with_children=True) + sum(spent(child) for child in running)


def spent_by_backends(installed: Installation) -> float:
    """Return the seconds that the server's present processes have used, to the nanosecond."""
    server = int((installed.folder / "postgresql" / "postmaster.pid").read_text().split()[0])
    running = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    return sum(int(Path(f"/proc/{one}/schedstat").read_text().split()[0]) for one in running) / 1e9
