"""``python -m tests.simulator --schedules 10000 --seed 1``: play schedules, print how many, and every fault found."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.simulator.schedule import Found
from tests.simulator.stage import prepared


def main() -> int:
    """Play and report; the exit code is 1 if a promise was broken."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--schedules", type=int, default=10_000)
    given.add_argument("--seed", type=int, default=1, help="the number of the first schedule")
    options = given.parse_args()
    began = time.monotonic()
    found: list[Found] = []
    with tempfile.TemporaryDirectory() as folder, prepared(Path(folder)) as stage:
        for number in range(options.seed, options.seed + options.schedules):
            found.append(stage.play(number))
            for fault in found[-1].faults:
                print(f"schedule {number}: {fault}", flush=True)
            if len(found) % 500 == 0:
                print(f"{len(found)} schedules, {time.monotonic() - began:.0f} s", flush=True)
    faulty = sum(bool(one.faults) for one in found)
    print(
        f"{len(found)} schedules from {options.seed} on, {sum(one.incidents for one in found)} incidents, "
        f"{sum(one.again for one in found)} messages twice as is allowed for, {faulty} with broken promises, "
        f"longest {max(one.seconds for one in found):.0f} s of its own time, {time.monotonic() - began:.0f} s"
    )
    return min(faulty, 1)


if __name__ == "__main__":
    sys.exit(main())
