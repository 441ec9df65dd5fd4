"""Figures of several processes are one sum, which never falls while one of them is alive."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from backend.lib import metrics

PROGRAM = """
import sys
from backend.lib import metrics
metrics.share()
for line in sys.stdin:
    match line.split():
        case ["count", number]:
            metrics.messages("EMAIL", "HIGH").inc(int(number))
            metrics.send_seconds("EMAIL", "smtp", "NORMAL").observe(int(number) / 10)
            print("counted", flush=True)
        case ["show"]:
            print(metrics.exposition().decode().replace("\\n", ";"), flush=True)
"""


class Process:
    """A process of its own that counts into a directory and shows the sum."""

    def __init__(self, directory: Path) -> None:
        self._running = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(directory)},
        )

    def _ask(self, line: str) -> str:
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        self._running.stdin.write(f"{line}\n")
        self._running.stdin.flush()
        return self._running.stdout.readline()

    def count(self, number: int) -> None:
        assert self._ask(f"count {number}") == "counted\n"

    def show(self) -> tuple[float, float, float]:
        """Return the sum of the counter, and the histogram's sum and count."""
        text = self._ask("show").replace(";", "\n")
        return (
            value(text, 'carillon_accepted_messages_total{channel="EMAIL",priority="HIGH"}'),
            value(text, 'carillon_send_seconds_sum{channel="EMAIL",priority="NORMAL",provider="smtp"}'),
            value(text, 'carillon_send_seconds_count{channel="EMAIL",priority="NORMAL",provider="smtp"}'),
        )

    def kill(self) -> None:
        """End without any chance to tidy up."""
        self._running.kill()
        self._running.communicate()


def value(text: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list[Process]]:
    with ExitStack() as stack:
        started = [Process(tmp_path / "metrics") for _ in range(3)]
        for one in started:
            stack.callback(one.kill)
        yield started


def test_every_process_shows_the_sum_also_of_those_that_died(processes: list[Process], tmp_path: Path) -> None:
    first, second, third = processes
    first.count(1)
    second.count(2)
    second.count(3)
    assert third.show() == (6, pytest.approx(0.6), 3)
    second.kill()
    assert third.show() == (6, pytest.approx(0.6), 3)
    first.kill()
    third.count(4)
    assert third.show() == (10, pytest.approx(1.0), 4)
    kinds = sorted(file.name.partition("_")[0] for file in (tmp_path / "metrics").glob("*.db"))
    assert kinds == ["counter", "counter", "histogram", "histogram"]  # the living one's and the ended ones'


def test_counts_begin_anew_after_all_have_ended(processes: list[Process], tmp_path: Path) -> None:
    processes[0].count(5)
    for one in processes:
        one.kill()
    newcomer = Process(tmp_path / "metrics")
    try:
        newcomer.count(1)
        assert newcomer.show()[0] == 1
    finally:
        newcomer.kill()


def test_one_process_alone_counts_in_memory(tmp_path: Path) -> None:
    name = 'carillon_submissions_total{outcome="duplicate",priority="BATCH"}'
    before = value(metrics.exposition().decode(), name)
    metrics.submissions("BATCH", "duplicate").inc(2)
    assert value(metrics.exposition().decode(), name) == before + 2


def test_an_empty_step_is_not_counted() -> None:
    name = 'carillon_step_size_count{step="claim"}'
    before = value(metrics.exposition().decode(), name)
    with metrics.timed("claim"):
        pass
    with metrics.timed("claim") as step:
        step.size = 3
    assert value(metrics.exposition().decode(), name) == before + 1


def test_a_directory_that_cannot_be_used_keeps_nobody_from_working(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "file" / "metrics"))
    monkeypatch.setattr(metrics._Share, "alive", None)
    metrics.share()
    name = 'carillon_submissions_total{outcome="refused",priority="BATCH"}'
    before = value(metrics.exposition().decode(), name)
    metrics.submissions("BATCH", "refused").inc()
    assert value(metrics.exposition().decode(), name) == before + 1


def test_figures_are_written_to_blocks_that_are_there(processes: list[Process], tmp_path: Path) -> None:
    """A full disk must not kill a process that counts."""
    processes[0].count(1)
    for file in (tmp_path / "metrics").glob("*.db"):
        assert file.stat().st_blocks * 512 >= file.stat().st_size > 0
