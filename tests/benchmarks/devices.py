"""The ledger of speed: what each device that exists for speed alone brings to the row that it serves.

``python -m tests.benchmarks.devices [NAME…]`` measures the named devices, or all, on SQLite and on PostgreSQL. On and
off take turns, six times each, and the medians are compared: how much more a message takes with the device off, of the
processor's time in the process that works and in the database together. In ``latency`` and ``deliver slowly`` it is the
clock's time. What
brings less than a tenth on both databases goes.
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import msgspec

from tests.benchmarks import device_rows as rows
from tests.benchmarks.device_rows import ON, Backlog, Measure, Spent
from tests.benchmarks.table import ENGINES

ROWS: dict[str, Callable[[str], Any]] = {
    "accept": rows.accepting(1),
    "accept bulk": rows.accepting(100),
    "deliver": rows.delivering(Backlog(500, rows.short)),
    "deliver 16 KB": rows.delivering(Backlog(250, rows.long)),
    "deliver signed": rows.delivering(Backlog(250, rows.short, rows.signing)),
    "deliver to many": rows.delivering(Backlog(2000, rows.large)),
    "deliver slowly": rows.delivering_slowly,
    "latency": rows.hearing,
    "render": rows.rendering,
}


class Device(msgspec.Struct, frozen=True):
    """A device, the module that it stands in, and the row it serves; ``engines`` are those that have it.

    ``switched_off`` has a function of its name that puts the plain way in its place.
    """

    name: str
    module: str
    row: str
    engines: tuple[str, ...] = ENGINES


DEVICES = (
    Device("short_way", "backend/api/direct.py", "accept"),
    Device("groups", "backend/lib/micro_batcher.py", "accept"),
    Device("plain_json", "backend/lib/plain_json.py", "accept bulk"),
    Device("token_memory", "backend/accounts/access.py", "accept"),
    Device("permits_ahead", "backend/accounts/rate_limits.py", "accept"),
    Device("waker", "backend/delivery/tasks.py", "latency"),
    Device("hasty_commits", "backend/db/database.py", "accept"),
    Device("versions", "backend/registry/lookup.py", "accept"),
    Device("driver_statements", "backend/db/driver.py", "accept"),
    Device("no_pipeline", "backend/db/driver.py", "accept", ("postgresql",)),
    Device("rendering_here", "backend/rendering/acceptance.py", "accept"),
    Device("tried_at_once", "backend/rendering/acceptance.py", "accept"),
    Device("ready_statements", "backend/db/database.py", "deliver"),
    Device("figures", "backend/lib/ttl_cache.py", "deliver"),
    Device("speeds", "backend/delivery/sending/send_context.py", "deliver slowly"),
    Device("bursts", "backend/channels/email_smtp.py", "deliver"),
    Device("marking_together", "backend/delivery/outcomes/record.py", "deliver"),
    Device("smtp_pipelining", "backend/channels/smtp_session.py", "deliver"),
    Device("own_mime", "backend/channels/mime.py", "deliver"),
    Device("own_folding", "backend/channels/mime.py", "deliver 16 KB"),
    Device("own_dkim", "backend/channels/dkim.py", "deliver signed"),
    Device("text_without_html", "backend/rendering/text/template.py", "render", ("sqlite",)),
    Device("unfinished", "backend/delivery/outcomes/states.py", "deliver to many"),
    Device("inotify", "backend/lib/queue_storage.py", "latency", ("sqlite",)),
)


def main() -> None:
    """Print the ledger of the devices that the command line names; ``NAME@ROW`` takes another row."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.devices")
    parser.add_argument("--pairs", type=int, default=6, help="how often on and off take turns")
    parser.add_argument("names", nargs="*", default=[device.name for device in DEVICES])
    given = parser.parse_args()
    wanted: dict[str, list[Device]] = {}
    for word in given.names:
        name, _, row = word.partition("@")
        device = next(one for one in DEVICES if one.name == name)
        wanted.setdefault(row or device.row, []).append(device)
    print(f"{'device':<20}{'row':<17}{'database':<12}{'on':>8}{'off':>8}{'brings':>9}{'process':>9}{'clock':>9}")
    for row, devices in wanted.items():
        for engine in ENGINES:
            mine = [one for one in devices if engine in one.engines]
            if mine:
                with ROWS[row](engine) as measure:
                    for device in mine:
                        on, off = _in_turns(device.name, given.pairs, measure)
                        print(_line(device.name, row, engine, on, off), flush=True)


def _in_turns(name: str, pairs: int, measure: Measure) -> tuple[list[Spent], list[Spent]]:
    """Measure with a device on and off in turns; the first turn warms up."""
    found: dict[str, list[Spent]] = {ON: [], name: []}
    for turn in range(pairs + 1):
        for which in (ON, name) if turn % 2 else (name, ON):
            spent = measure(which)
            found[which] += [spent] if turn else []
    return found[ON], found[name]


def _line(name: str, row: str, engine: str, on: list[Spent], off: list[Spent]) -> str:
    """Write what a message costs in milliseconds, on and off, and how much more it costs with the device off."""
    more = "".join(f"{_median(off, one) / _median(on, one) - 1:>+9.0%}" for one in ("all", "process", "wall"))
    return f"{name:<20}{row:<17}{engine:<12}{_median(on, 'all'):>8.3f}{_median(off, 'all'):>8.3f}{more}"


def _median(spent: list[Spent], member: str) -> float:
    return float(statistics.median(getattr(one, member) for one in spent))


if __name__ == "__main__":
    main()
