"""``make bench``: run every row, print the table, write ``.data/bench.json``.

``python -m tests.benchmarks accept deliver.sqlite`` runs only the rows whose names begin so.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tests.benchmarks import accept, deliver, flush, latency, portal, rendering, rules
from tests.benchmarks.table import ENGINES, Row

_REPORT = Path(".data") / "bench.json"


def _parts() -> Iterator[tuple[str, Callable[[], list[Row]]]]:
    for engine in ENGINES:
        yield f"accept.{engine}", lambda engine=engine: [accept.row(engine)]
        yield f"accept_bulk.{engine}", lambda engine=engine: [accept.bulk_row(engine)]
    for engine in ENGINES:
        yield f"deliver.{engine}", lambda engine=engine: [deliver.row(engine, 1024, 4000)]
        yield f"deliver.{engine}.16k", lambda engine=engine: [deliver.row(engine, 16 * 1024, 1500)]
    for engine in ENGINES:
        yield f"high_latency.{engine}", lambda engine=engine: [latency.row(engine)]
    for engine in ENGINES:
        yield f"rules.{engine}", lambda engine=engine: [rules.row(engine)]
    for engine in ENGINES:
        yield f"batch_flush.{engine}", lambda engine=engine: [flush.row(engine)]
    yield "render", rendering.rows
    yield "portal", portal.rows


def main() -> None:
    """Run and report; words on the command line choose rows by the beginning of their names."""
    chosen = tuple(sys.argv[1:]) or ("",)
    done: list[Row] = []
    print(f"{'row':<22}{'rate/s':>10}{'limit/s':>10}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}{'s':>11}  note")
    for name, part in _parts():
        for row in part() if name.startswith(chosen) else ():
            done.append(row)
            print(_line(row), flush=True)
    _REPORT.parent.mkdir(exist_ok=True)
    _REPORT.write_bytes(msgspec.json.format(msgspec.json.encode(done)))
    print(f"The figures are in {_REPORT}.")


def _line(row: Row) -> str:
    def cell(value: float | None, width: int, digits: int) -> str:
        return f"{'' if value is None else f'{value:.{digits}f}':>{width}}"

    rates = cell(row.rate, 10, 0) + cell(row.limit, 10, 0) + cell(row.ratio, 8, 2)
    return (
        f"{row.name:<22}{rates}{cell(row.p50_ms, 9, 1)}{cell(row.p99_ms, 9, 1)}{cell(row.seconds, 11, 6)}  {row.note}"
    )


if __name__ == "__main__":
    sys.exit(main())
