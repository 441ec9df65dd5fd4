"""How many tests run at once, and which are quick enough to run after every change: ``--fast`` chooses those."""

import os
from pathlib import Path
from typing import Any

import pytest

# The packages below the entry points: no application is opened, and no message sent.
_FOLDERS = ("accounts", "channels", "intake", "lib", "receipts", "registry", "rendering", "reports", "rules")
# What waits for somebody who does not answer, or for processes that are to be ended.
_SLOW = {
    "accounts": ("test_signing_keys",),
    "channels": ("test_apprise_service", "test_email_smtp", "test_freshservice", "test_smtp_groups", "test_slack"),
    "lib": (
        "test_connections",
        "test_metrics",
        "test_queue",
        "test_queue_faults",
        "test_request_streams",
        "test_traces",
    ),
    "receipts": ("test_entry_point", "test_mailbox", "test_whole_way"),
    "rendering": ("test_acceptance", "test_jinja", "test_pool", "test_sandbox"),
}
_MORE = 2
_TESTS = Path(__file__).parent
_SERVERS = ("postgres", "redis")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the choice."""
    parser.addoption("--fast", action="store_true", help="no browser, no server, SQLite alone: under a minute")


@pytest.hookimpl(optionalhook=True, tryfirst=True)  # before xdist's own answer
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Run more tests at once than there are processors, for half the time they wait; but not the quick ones."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ or not hasattr(os, "sched_getaffinity"):
        return None
    processors = len(os.sched_getaffinity(0))
    return processors if config.option.fast else processors + max(_MORE, processors // 2)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even load what is not chosen: half of a fast run would be that."""
    if not config.option.fast or collection_path in (_TESTS, _TESTS.parent):
        return None
    if not collection_path.is_relative_to(_TESTS):
        return True
    folder = collection_path.relative_to(_TESTS).parts[0]
    return True if folder not in _FOLDERS or collection_path.stem in _SLOW.get(folder, ()) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that need a server."""
    if config.option.fast:
        left_out = [item for item in items if _needs_a_server(item)]
        items[:] = [item for item in items if not _needs_a_server(item)]
        config.hook.pytest_deselected(items=left_out)


def _needs_a_server(item: Any) -> bool:
    given = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return any(str(name).startswith(_SERVERS) for name in (*item.fixturenames, *given))
