"""``python -m tests.storms [WORD …]``: bring about every fault in real runs, and print what came of each.

Words choose tests as ``pytest -k`` does. More runs than in the suite are made of the faults that take long.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.storms.rows import HEAD, Row


def main() -> int:
    """Run the tests that record rows, then print the table; return pytest's status."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rows"
        command = [sys.executable, "-m", "pytest", "-q", "--disable-warnings", str(Path(__file__).parent)]
        words = ["-k", " or ".join(sys.argv[1:])] if sys.argv[1:] else []
        environment = os.environ | {"STORM_TABLE": str(table), "STORMS": "all"}
        status = subprocess.run([*command, *words], env=environment, check=False).returncode
        rows = (
            [msgspec.json.decode(line, type=Row) for line in table.read_bytes().splitlines()] if table.exists() else []
        )
    print(HEAD)
    for row in rows:
        print(row.line())
    return status


if __name__ == "__main__":
    sys.exit(main())
