"""Drive mail servers and print what was counted: ``python -m tests.mail_servers.table``, or sinks with ``--sinks``."""

import argparse
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mail_servers.conftest import COUNTED

_HERE = Path(__file__).parent
_COLUMNS = ("server", "case", "sent", "waiting", "failed", "lost", "doubled", "tries", "seconds")


class _Noted:
    """Prints each count as a row, in the order in which the tests end."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print the counts of a test, and its name where it failed."""
        if report.when == "call":
            for name, value in report.user_properties:
                if name == COUNTED:
                    self._row(value)
            if report.failed:
                print(f"| FAILED: {report.nodeid} |\n{report.longreprtext}")

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str]:
        """Leave out pytest's own mark of each test."""
        return report.outcome, "", ""

    def _row(self, value: Any) -> None:
        print(f"| {' | '.join(str(value[column]) for column in _COLUMNS)} |", flush=True)


def main() -> int:
    """Print the table; return pytest's status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sinks", action="store_true", help="sinks with a limit instead, which take two minutes")
    where = _HERE / "sinks.py" if parser.parse_args().sinks else _HERE
    print(f"| {' | '.join(_COLUMNS)} |\n|{' --- |' * len(_COLUMNS)}", flush=True)
    words = ["-q", "--no-header", "--no-summary", "-n", "0", "-W", "ignore", str(where)]
    return int(pytest.main(words, plugins=[_Noted()]))


if __name__ == "__main__":
    sys.exit(main())
