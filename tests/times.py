"""Where the time of a run goes: by folder and by test, in seconds of the clock and of the processor.

A test that takes much of the clock and little of the processor waits for something; the processor's seconds count what
its ended child processes used too, and say the same on a busy machine as on an idle one.
"""

import resource
import time
from collections import defaultdict
from collections.abc import Generator
from dataclasses import dataclass, field

import pytest

_SHOWN = pytest.StashKey[int]()
_TIMES = pytest.StashKey[dict[str, "Times"]]()


@dataclass
class Times:
    """What one test, or all of a folder, took: seconds of the processor, and of the clock by phase."""

    tests: int = 0
    processor: float = 0
    phases: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("setup", "call", "teardown"), 0.0))

    @property
    def clock(self) -> float:
        """All phases."""
        return sum(self.phases.values())

    def add(self, other: "Times") -> None:
        """Count another with this one."""
        self.tests += other.tests
        self.processor += other.processor
        for phase, seconds in other.phases.items():
            self.phases[phase] += seconds


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the number of tests to list."""
    parser.addoption("--times", type=int, default=0, metavar="N", help="list times by folder, and the N slowest tests")


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing."""
    config.stash[_TIMES] = {}


def _processor() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Read the processor's clock before the first phase."""
    item.stash[_READ] = _processor()
    return (yield)


_READ = pytest.StashKey[float]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give each phase's report, which may go to another process, the seconds of the processor."""
    report = yield
    read = _processor()
    report.processor = read - item.stash[_READ]
    item.stash[_READ] = read
    return report


class _Listener:
    def __init__(self, times: dict[str, Times]) -> None:
        self._times = times

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a phase took."""
        times = self._times.setdefault(report.nodeid, Times(tests=1))
        times.processor += getattr(report, "processor", 0)
        times.phases[report.when] += report.duration


def pytest_sessionstart(session: pytest.Session) -> None:
    """Listen where the reports of all workers come together."""
    if session.config.option.times and not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(_Listener(session.config.stash[_TIMES]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print both lists."""
    times = config.stash[_TIMES]
    if not times:
        return
    terminalreporter.section("time by folder, and the slowest tests")
    for line in _lines(times, config.option.times):
        terminalreporter.write_line(line)


def _lines(times: dict[str, Times], shown: int) -> list[str]:
    folders: defaultdict[str, Times] = defaultdict(Times)
    for test, one in times.items():
        folders[_folder(test)].add(one)
        folders["in all"].add(one)
    heading = f"{'clock':>8} {'processor':>9} {'setup':>7} {'call':>7} {'teardown':>8}"
    slowest = sorted(times.items(), key=lambda item: -item[1].clock)[:shown]
    by_folder = sorted(folders.items(), key=lambda item: -item[1].clock)
    return [
        heading,
        *(f"{_row(one)}  {name} ({one.tests})" for name, one in by_folder),
        "",
        heading,
        *(f"{_row(one)}  {name}" for name, one in slowest),
    ]


def _folder(test: str) -> str:
    return test.partition("::")[0].rpartition("/")[0]


def _row(one: Times) -> str:
    phases = one.phases
    return (
        f"{one.clock:8.2f} {one.processor:9.2f} {phases['setup']:7.2f} {phases['call']:7.2f} {phases['teardown']:8.2f}"
    )
