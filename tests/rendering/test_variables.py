"""What a form asks for a message, and how it reads what was written."""

import pytest

from backend.lib.problems import Problem
from backend.rendering.fields_read import fields_read
from backend.rendering.model import Source
from backend.rendering.variables import Variable, variables

_SOURCE = Source("text", "{{ sample }} {{ count }} {{ at }} {% if urgent %}!{% endif %}{{ note | default('-') }}")


def test_kinds_come_from_the_samples_and_what_is_needed_comes_first() -> None:
    samples = [
        {"sample": "S-1", "count": 3, "at": "2026-03-09", "urgent": True, "rows": [1], "who": {"a": 1}, "note": "x"},
        {"sample": "S-2", "count": 4.5, "note": "one\ntwo", "mixed": 1},
        {"mixed": "x"},
        ["of a batch"],
    ]
    found = variables(fields_read(_SOURCE), samples)
    assert [(one.name, one.kind, one.needed) for one in found] == [
        ("at", "date", True),
        ("count", "number", True),
        ("sample", "text", True),
        ("mixed", "text", False),
        ("note", "lines", False),
        ("rows", "list", False),
        ("urgent", "boolean", False),
        ("who", "object", False),
    ]
    assert {one.name: one.example for one in found}["who"] == '{"a": 1}'
    assert [one.kind for one in variables(fields_read(_SOURCE), [])] == ["text"] * 5


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("number", " 12 ", 12),
        ("number", "-3,5", -3.5),
        ("date", "2026-03-09", "2026-03-09"),
        ("boolean", "true", True),
        ("boolean", "", False),
        ("list", '["S-1", 2]', ["S-1", 2]),
        ("object", '{"name": "S-1"}', {"name": "S-1"}),
        ("lines", "one\r\ntwo", "one\ntwo"),
        ("text", " as it is ", " as it is "),
    ],
)
def test_what_is_written_is_read_by_its_kind(kind: str, text: str, value: object) -> None:
    assert Variable("x", kind, True, "").read(text) == value  # type: ignore[arg-type] # a kind, by the list above


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("number", "twelve", "such as 12 or 3.5"),
        ("number", "1e400", "such as 12 or 3.5"),
        ("date", "2026-02-30", "such as 2026-03-09"),
        ("date", "9 March", "such as 2026-03-09"),
        ("list", '["S-1",]', "a list in square brackets"),
        ("list", "{}", "a list in square brackets"),
        ("object", "[]", "an object in curly brackets"),
        ("object", '{"n": 99999999999999999999}', ""),
        ("object", "[" * 10_000, "an object in curly brackets"),
    ],
)
def test_what_is_none_of_its_kind_is_refused_in_words(kind: str, text: str, said: str) -> None:
    with pytest.raises(Problem) as raised:
        Variable("x", kind, True, "").read(text)  # type: ignore[arg-type] # a kind, by the list above
    assert said in raised.value.detail
    assert "body" not in raised.value.detail
