"""Warnings of values that escaping does not guard: their lines, what is safe, and sources that mean harm."""

import time

import pytest

from backend.rendering import engine
from backend.rendering.html.escaping import unescaped
from backend.rendering.model import Source


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("<p>\n<a href={{ url }}>", [2]),
        ('<a href="{{ url }}"\n   title={{ title }}>', [2]),
        ("<p {% if wide %}class={{ name }}{% endif %}>", [1]),
        ("<script>\nlet a = 1;\nlet b = {{ b }};</script>", [3]),
        ("<SCRIPT>{{ a }}\n{{ b }}", [1, 2]),
        ('<a href="{{ url }}">{{ words }}</a>', []),
        ("<a title='a={{ b }}'>", []),
        ("<p>{{ a ~ '=' ~ b }}</p>", []),
        ("a < b = {{ c }}", []),
    ],
)
def test_each_unguarded_value_is_told_with_its_line(source: str, lines: list[int]) -> None:
    assert [warning.line for warning in unescaped(source)] == lines


def test_the_check_before_publication_tells_it() -> None:
    warnings = engine.check(Source("html", "<a href={{ url }}>x</a>"), {"url": "u"})
    assert [warning.code for warning in warnings] == ["unescaped_output"]


@pytest.mark.parametrize("piece", ["<a ", '<a "', "<a {{", "<a x={{ y", "<script>", "<a {% ", "<a '\"", "{"])
def test_no_source_takes_long(piece: str) -> None:
    source = piece * (262_144 // len(piece))
    began = time.process_time()
    list(unescaped(source))
    assert time.process_time() - began < 2
