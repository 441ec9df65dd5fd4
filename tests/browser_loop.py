"""A browser's event loop out of the way of other tests.

Playwright leaves its loop running in the thread of the tests for as long as the browser is open, and a thread runs one
loop at a time. Tests without a browser, which start loops of their own, see none.
"""

import asyncio
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

_BROWSERS = "e2e/"


@contextmanager
def _aside(item: pytest.Item) -> Iterator[None]:
    loop = None if item.nodeid.startswith(_BROWSERS) else asyncio._get_running_loop()
    if loop is None:
        yield
        return
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Prepare a test without the loop."""
    with _aside(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Run it without the loop."""
    with _aside(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Clear up without the loop, but for after the last test, when the browser is closed too."""
    if nextitem is None:
        return (yield)
    with _aside(item):
        return (yield)
