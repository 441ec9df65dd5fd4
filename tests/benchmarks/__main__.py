"""``make bench``: run every row, print the table, write ``.data/bench.json``."""

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.benchmarks import rows
from tests.benchmarks.rows import Row

_REPORT = Path(".data") / "bench.json"
_PARTS: tuple[Callable[[], list[Row]], ...] = (
    lambda: [rows.accept_row("accept.sqlite", 5)],
    lambda: [rows.deliver_row("deliver.sqlite", 1024, 4000)],
    lambda: [rows.deliver_row("deliver.sqlite.16k", 16 * 1024, 1200)],
    rows.render_rows,
)


def main() -> None:
    """Run and report."""
    done: list[Row] = []
    print(f"{'row':<22}{'rate/s':>10}{'limit/s':>10}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}{'s':>11}  note")
    for part in _PARTS:
        for row in part():
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
