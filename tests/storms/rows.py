"""What came of a fault in a real run: a row of the table that ``python -m tests.storms`` prints."""

import os
from pathlib import Path

import msgspec

# Whether every run is to be made, or, for the suite, those in which most can go wrong.
ALL = os.environ.get("STORMS") == "all"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """How many notifications were accepted, came once at least, came again, never came, or wait for a person's word.

    ``stood`` is for how many seconds nothing was accepted, or nothing was sent that could have been, at the longest.
    """

    fault: str
    accepted: int
    sent: int
    twice: int = 0
    lost: int = 0
    outcome_unknown: int = 0
    stood: float

    def line(self) -> str:
        """Write it as a line of the table."""
        counts = (self.accepted, self.sent, self.twice, self.lost, self.outcome_unknown)
        return f"{self.fault:<58}" + "".join(f"{count:>10}" for count in counts) + f"{self.stood:>10.1f}"


HEAD = f"{'fault':<58}" + "".join(
    f"{name:>10}" for name in ("accepted", "sent", "twice", "lost", "in doubt", "stood s")
)


def record(row: Row) -> Row:
    """Print a row, and keep it for the table if one is being made."""
    print(f"\n{HEAD}\n{row.line()}")
    table = os.environ.get("STORM_TABLE")
    if table:
        with Path(table).open("ab") as file:
            file.write(msgspec.json.encode(row) + b"\n")
    return row
