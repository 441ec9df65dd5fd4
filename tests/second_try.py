"""A second try: tests drive threads, servers and browsers, and a busy machine misses a moment now and then.

What fails twice has failed. What needed the second try is named at the end of the run, so that it is looked at.
"""

import socket

import pytest

_NAMES = pytest.StashKey[list[str]]()
# What a first try has printed at its end, such as the log of a server that it ran.
_LINES = 20


@pytest.hookimpl(trylast=True)  # after the plugin's own, which connects
def pytest_configure(config: pytest.Config) -> None:
    """Begin with none.

    The plugin writes twice to its main process before each test and waits then, over a connection that keeps the second
    back until the first is confirmed: 40 ms a test.
    """
    config.stash[_NAMES] = []
    line = getattr(getattr(config, "failures_db", None), "sock", None)
    if line is not None:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Listener(config.stash[_NAMES]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them all."""
    for item in items:
        item.add_marker(pytest.mark.flaky(reruns=1))


class _Listener:
    def __init__(self, names: list[str]) -> None:
        self._names = names

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a first try that failed."""
        if str(report.outcome) == "rerun":
            self._names.append(f"{report.nodeid}: {_reason(report)}")
            self._names += [f"    {line}" for line in report.capstdout.splitlines()[-_LINES:]]


def _reason(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message).splitlines()[0] if crash and crash.message else str(report.when)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name them."""
    if config.stash[_NAMES]:
        terminalreporter.section("needed a second try")
        for line in config.stash[_NAMES]:
            terminalreporter.write_line(line)
