"""What searching costs: among many notifications, and whoever is accepting while words are gathered.

``python -m tests.benchmarks.search [--rows 1000000] [--windows 12] [sqlite] [postgresql]`` stores notifications with
their deliveries by SQL, gathers their words as the worker does, and times searches of every kind: each is the whole of
what the API does for a page. Then it accepts for some windows of time, in turns with and without a process that
gathers words as the worker does.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select, text

from backend.db import database as db
from backend.db.database import Database
from backend.db.models.notifications import Notification
from backend.db.models.registry import TemplateVersion
from backend.intake.accept import accept_many
from backend.intake.entries import Refused
from backend.reports import notifications
from backend.reports.notifications import Filter
from backend.search import fill, query, tasks
from tests.benchmarks.table import ENGINES, Installation, installation
from tests.factories import notification as body

_CHUNK = 20_000
_ROUNDS = 15
_GROUP = 50
_WINDOW_SECONDS = 3.0
_SERIES = {
    "sqlite": "WITH RECURSIVE series(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM series WHERE n < :last)",
    "postgresql": "WITH series AS (SELECT generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n)",
}
_UID = {"sqlite": "randomblob(16)", "postgresql": "gen_random_uuid()"}
# A twentieth, the oldest, have a word that no later one has.
_CONTENT = (
    '\'{"channels":[{"type":"EMAIL","recipient":["X_LAB"],"template_id":"X_SAMPLE","fields":'
    '{"sample_id":"\' || n || \'STDY\' || (n * 7919 % 1000003) || \'","person":"\' ||'
    " CASE n % 4 WHEN 0 THEN 'Jürgen' WHEN 1 THEN 'Ada' WHEN 2 THEN 'Grace' ELSE 'Alan' END || ' Müller' || (n % 5000)"
    " || '\",\"note\":\"the sequencing of plate ' || (n % 900) || ' has failed' ||"
    " CASE WHEN n % :rows < :old THEN ' legacy' ELSE '' END || '\"}}],\"priority\":\"NORMAL\"}'"
)
_NOTIFICATIONS = (
    "{series} INSERT INTO notifications (id, uid, service_id, priority, status, content, created_at, updated_at,"
    " accepted_at) SELECT :base + n, {uid}, :service, 1, CASE WHEN n % 100 = 0 THEN 'FAILED' ELSE 'SENT' END,"
    " {content}, :now, :now, :now FROM series"
)
_DELIVERIES = (
    "{series} INSERT INTO deliveries (uid, notification_id, service_id, priority, channel_index, type,"
    " template_version_id, recipients, address, status, attempts, due_at, created_at)"
    " SELECT {uid}, :base + n, :service, 1, 0, 'EMAIL', :version, '[\"X_LAB\"]',"
    " 'person' || (n % 50000) || '@lab' || (n % 200) || '.example', 'SENT', 1, :now, :now FROM series"
)


def store(installed: Installation, rows: int) -> None:
    """Store so many notifications of the laboratory, a chunk at a time."""
    database, engine = installed.lab.database, _engine(installed.lab.database)
    installed.lab.template("X_SAMPLE", subject="Sample {{ sample_id }} for {{ person }}")
    with database.read() as session:
        version = session.scalars(select(TemplateVersion.id).order_by(TemplateVersion.id.desc())).first()
    fixed = {"base": 0, "service": installed.lab.service_id, "rows": rows, "old": rows // 20, "version": version}
    fixed["now"] = "2026-03-02 09:00:00.000000"
    for first in range(1, rows + 1, _CHUNK):
        some = {"first": first, "last": min(rows, first + _CHUNK - 1)}
        with database.transaction(durable=False) as session:
            for statement in (_NOTIFICATIONS, _DELIVERIES):
                written = statement.format(series=_SERIES[engine], uid=_UID[engine], content=_CONTENT)
                if engine == "sqlite":  # an INSERT takes its WITH behind the table's name
                    series, _, rest = written.partition(" INSERT ")
                    head, _, chosen = rest.partition(") SELECT")
                    written = f"INSERT {head}) {series} SELECT{chosen}"
                else:
                    written = written.replace(":now", "CAST(:now AS timestamptz)")
                    written = written.replace("'[\"X_LAB\"]'", "CAST('[\"X_LAB\"]' AS jsonb)")
                names = {name: value for name, value in (fixed | some).items() if f":{name}" in written}
                session.execute(text(written), names)
    if engine == "postgresql":
        with database.transaction() as session:
            session.execute(text("SELECT setval(pg_get_serial_sequence('notifications', 'id'), :rows)"), {"rows": rows})
            session.execute(text("ANALYZE"))


def _engine(database: Database) -> str:
    return "sqlite" if database.is_sqlite else "postgresql"


def gather(database: Database) -> tuple[int, float]:
    """Gather all words; return of how many notifications, and in how many seconds."""
    count, began = 0, time.monotonic()
    while not (seen := fill.some(database)).is_idle:
        count += len(seen.missing)
    return count, time.monotonic() - began


def searches(database: Database, rows: int) -> Iterator[tuple[str, Filter]]:
    """Name the searches."""
    with database.read() as session:
        uid = session.scalars(select(Notification.uid).where(Notification.id == rows // 3)).one()
    number = rows // 2
    asked = {
        "a word of all": "sample",
        "the beginning of a word of all": "sampl",
        "two words of all": "sequencing failed",
        "a word of a quarter": "jürgen",
        "a name": "müller4321",
        "a word of all, and a name": "sample müller4321",
        "a sample": f"{number}STDY",
        "the beginning of many words": "mül",
        "a plate": "plate 899",
        "a word of the oldest twentieth": "legacy",
        "a word of few, and of the oldest": "legacy müller77",
        "a word of none": "zebra",
        "words that never meet": "jürgen alan",
        "an address": "person4321@lab121",
        "the domain of many": "lab121.example",
        "the beginning of an id": uid.hex[:8],
        "a part of an id, 8 digits": uid.hex[11:19],
        "a part of an id, 5 digits": uid.hex[14:19],
        "the end of an id": uid.hex[-6:],
        "a whole id": str(uid),
    }
    for name, words in asked.items():
        yield name, Filter(query=query.read(words))
    yield "address=", Filter(query=query.read(None, "person4321@lab121.example"))
    yield "a word of all, FAILED alone", Filter(query=query.read("sample"), status="FAILED")


def measure(database: Database, service_id: int, rows: int) -> None:
    """Print how long each search takes, in milliseconds: by the clock, and of the work of this process alone.

    The work is all there is on SQLite; the server of PostgreSQL does more. It says more where the machine is busy.
    """
    print(f"  {'search':<36}{'found':>7}{'work ms':>9}{'min ms':>9}{'p50 ms':>9}{'max ms':>9}")
    for name, wanted in searches(database, rows):
        taken, worked, found = [], [], 0
        for _ in range(_ROUNDS):
            began, begun = time.perf_counter(), time.process_time()
            with database.read() as session:
                page, more = notifications.rows(session, service_id, wanted, limit=50, before=None)
            taken.append((time.perf_counter() - began) * 1000)
            worked.append((time.process_time() - begun) * 1000)
            found = len(page)
        figures = (statistics.median(worked), min(taken), statistics.median(taken), max(taken[1:]))
        told = "".join(f"{one:>9.1f}" for one in figures)
        print(f"  {name:<36}{f'{found}+' if more else found:>7}{told}", flush=True)


@contextmanager
def gathering(installed: Installation) -> Iterator[Path]:
    """Run a process that gathers words each second while the file that is given is there."""
    flag = installed.folder / "gathering"
    command = [sys.executable, "-m", "tests.benchmarks.search", "--gather-while", str(flag)]
    with subprocess.Popen(command, env=installed.environment) as process:
        try:
            yield flag
        finally:
            process.terminate()


def gather_while(flag: Path) -> None:
    """Do the task as the worker does, each second."""
    db.relax()
    while True:
        began = time.monotonic()
        if flag.exists():
            tasks.index.run()
        time.sleep(max(0.0, 1.0 - (time.monotonic() - began)))


def _body(number: int) -> dict[str, Any]:
    return body(fields={"sample_id": f"N-{number}", "person": "Ada"})


class Rate(msgspec.Struct, order=True):
    """How many were accepted per second, and per second of work of the process that accepts.

    The latter says more where the machine has other things to do.
    """

    by_clock: float
    by_work: float


def accepting(installed: Installation, windows: int) -> tuple[list[Rate], list[Rate]]:
    """Accept for windows of time, in turns without and with the gathering; return the rates of either."""
    rates: dict[bool, list[Rate]] = {False: [], True: []}
    number = 0
    with gathering(installed) as flag:
        for window in range(2 * windows + 2):
            beside = window % 2 == 1
            flag.touch() if beside else flag.unlink(missing_ok=True)
            time.sleep(1.2)
            began, begun, count = time.monotonic(), time.process_time(), 0
            while time.monotonic() - began < _WINDOW_SECONDS:
                given = [installed.lab.submission(_body(number + one)) for one in range(_GROUP)]
                if any(isinstance(one, Refused) for one in accept_many(given, lambda _priorities: None)):
                    raise RuntimeError("A notification was refused: what that takes is not what accepting takes.")
                number, count = number + _GROUP, count + _GROUP
            if window > 1:
                rates[beside].append(Rate(count / (time.monotonic() - began), count / (time.process_time() - begun)))
    return rates[False], rates[True]


def show(alone: list[Rate], beside: list[Rate]) -> None:
    """Print the medians of either, and how much less is accepted beside the gathering: median and middle half."""
    for name, of in (("second", attrgetter("by_clock")), ("second of work", attrgetter("by_work"))):
        before, after = statistics.median(map(of, alone)), statistics.median(map(of, beside))
        # Each window beside the one right before it: what else the machine does changes more slowly.
        low, middle, high = statistics.quantiles((of(b) / of(a) - 1 for a, b in zip(alone, beside, strict=True)), n=4)
        told = f"{middle:+.1%}, half of {len(alone)} between {low:+.1%} and {high:+.1%}"
        print(f"  accepted per {name}: {before:,.0f} alone, {after:,.0f} beside gathering ({told})")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.search")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument(
        "--windows", type=int, default=12, help="how often it is accepted with and without the gathering"
    )
    parser.add_argument("--gather-while", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("engines", nargs="*", metavar="engine")
    given = parser.parse_args()
    if given.gather_while:
        gather_while(given.gather_while)
    for engine in given.engines or ENGINES:
        with installation(engine) as installed:
            store(installed, given.rows)
            count, seconds = gather(installed.lab.database)
            each = seconds / max(1, count) * 1e6
            print(f"{engine}: {count:,} gathered in {seconds:.1f} s, {each:.0f} µs each", flush=True)
            measure(installed.lab.database, installed.lab.service_id, given.rows)
            if given.windows:
                show(*accepting(installed, given.windows))


if __name__ == "__main__":
    main()
