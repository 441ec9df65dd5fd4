"""An entry of the log is one line, whatever a stranger wrote into it."""

import io
import logging

import pytest

from backend.lib import logs
from tests.conftest import MovableClock


@pytest.fixture
def written(moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    logs.configure()
    return stream


def test_an_entry_is_one_line_with_time_level_and_name(written: io.StringIO) -> None:
    logging.getLogger("backend.lib").warning("Refused %s", "this")
    assert written.getvalue() == "2026-03-02T09:00:00.000000Z WARNING backend.lib: Refused this\n"


@pytest.mark.parametrize("breaker", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\x1b[2J"])
def test_no_text_can_begin_a_line_of_its_own_or_steer_the_terminal(written: io.StringIO, breaker: str) -> None:
    logging.getLogger("x").error("name: %s", f"a{breaker}2026-03-02T09:00:00.000000Z ERROR forged: entry")
    lines = written.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].isprintable()
    assert "\\" in lines[0]


def test_letters_of_every_language_stay_as_they_are(written: io.StringIO) -> None:
    logging.getLogger("x").error("Zoë, 東京\t✓")
    assert written.getvalue().endswith("Zoë, 東京\t✓\n")


def fail(reason: str) -> None:
    raise ValueError(reason)


def test_every_line_of_a_traceback_is_indented(written: io.StringIO) -> None:
    try:
        fail("first\n2026-03-02T09:00:00.000000Z ERROR forged: entry\rsecond")
    except ValueError:
        logging.getLogger("x").exception("It failed")
    first, *rest = written.getvalue().splitlines()
    assert first.endswith("ERROR   x: It failed")
    assert len(rest) >= 4
    assert all(line.startswith("    ") for line in rest)


def test_libraries_that_write_tokens_are_quiet(written: io.StringIO) -> None:
    for name in ("httpx2", "authlib", "sqlalchemy.engine"):
        logging.getLogger(name).info("Bearer secret")
    assert written.getvalue() == ""
