"""A request's id is the caller's if it is harmless, and never empty."""

import re

import pytest

from backend.lib import logs

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01".encode()


@pytest.mark.parametrize("given", [b"a", b"req-1:2.3_4", b"x" * 64])
def test_a_harmless_id_is_taken_over(given: bytes) -> None:
    assert logs.choose(given, PARENT) == given.decode()


@pytest.mark.parametrize("given", [None, b"", b"x" * 65, b"a b", b"a\nb", b"caf\xe9", b'"', b"id\r\n", b"a\n"])
def test_else_the_trace_id_is(given: bytes | None) -> None:
    assert logs.choose(given, PARENT) == TRACE


@pytest.mark.parametrize(
    "parent",
    [
        None,
        b"",
        TRACE.encode(),
        b"ff" + PARENT[2:],
        PARENT.upper(),
        b"00-" + b"0" * 32 + PARENT[35:],
        PARENT[:36] + b"0" * 16 + b"-01",
        PARENT + b"x",
    ],
)
def test_else_one_is_made(parent: bytes | None) -> None:
    first, second = logs.choose(None, parent), logs.choose(None, parent)
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second
    assert first != TRACE
