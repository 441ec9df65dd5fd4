"""What a failed test has logged and printed, kept to its end, so that the report of a run stays one that is read."""

from collections.abc import Generator

import pytest

_LINES = 40


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shorten what was captured."""
    report = yield
    report.sections = [(title, _end(text)) for title, text in report.sections]
    return report


def _end(text: str) -> str:
    lines = text.splitlines(keepends=True)
    left_out = len(lines) - _LINES
    return text if left_out <= 0 else f"({left_out} lines before these)\n{''.join(lines[-_LINES:])}"
