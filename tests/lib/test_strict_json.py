"""JSON is read strictly, and every fault names its line and column."""

import json
import re
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.lib import plain_json, strict_json
from backend.lib.problems import Problem

SEED_WITH_TRAILING_COMMA = b'{\n  "channels": [\n    {"type": "EMAIL"}\n  ],\n  "priority": "NORMAL",\n}'

MALFORMED = [
    pytest.param(SEED_WITH_TRAILING_COMMA, 6, 1, "a comma stands before the closing", id="trailing comma in an object"),
    pytest.param(b"[1,\n2,\n ]", 3, 2, "a comma stands before the closing", id="trailing comma in an array"),
    pytest.param(b"", 1, 1, "empty", id="nothing"),
    pytest.param(b" \n\t", 2, 2, "empty", id="white space alone"),
    pytest.param(b'{"a": 1,\n b: 2}', 2, 2, "double quotes", id="bare member name"),
    pytest.param(b"{\n'a': 1}", 2, 1, "double quotes", id="single quotes"),
    pytest.param(b'{"a": 1\n "b": 2}', 2, 2, "delimiter", id="missing comma"),
    pytest.param(b'{"a": \n}', 2, 1, "expecting value", id="missing value"),
    pytest.param(b'{"a" 1}', 1, 6, "delimiter", id="missing colon"),
    pytest.param(b'{"a": 1', 1, 8, "delimiter", id="unclosed object"),
    pytest.param(b'{"a": "b', 1, 7, "unterminated string", id="unclosed string"),
    pytest.param(b'{"a": "b\nc"}', 1, 9, "control character", id="line break in a string"),
    pytest.param(b'{"a": "\\x"}', 1, 8, "escape", id="unknown escape"),
    pytest.param(b'{"a": "\\u12"}', 1, 9, "escape", id="half an escape"),
    pytest.param(b'{"a": 01}', 1, 8, "delimiter", id="leading zero"),
    pytest.param(b'{"a": +1}', 1, 7, "expecting value", id="plus sign"),
    pytest.param(b'{"a": .5}', 1, 7, "expecting value", id="bare fraction"),
    pytest.param(b'{"a": True}', 1, 7, "expecting value", id="Python's true"),
    pytest.param(b"{} // why\n", 1, 4, "extra data", id="comment"),
    pytest.param(b'{"a": 1}\n{"b": 2}', 2, 1, "extra data", id="two texts"),
    pytest.param(b'{\n "a": NaN}', 2, 7, "NaN", id="NaN"),
    pytest.param(b'{"Infinity": "NaN",\n "b": -Infinity}', 2, 7, "-Infinity", id="Infinity after its name in text"),
    pytest.param(b'{"a":\n "\xc3\xa9\xff"}', 2, 4, "not UTF-8", id="broken UTF-8"),
    pytest.param(b"\xef\xbb\xbf{}", 1, 1, "byte order mark", id="byte order mark"),
    pytest.param('{"a": 1}'.encode("utf-16"), 1, 1, "not UTF-8", id="UTF-16 with its mark"),
    pytest.param('{"a": 1}'.encode("utf-16-le"), 1, 2, "double quotes", id="UTF-16 without its mark"),
]


def refusal(raw: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        strict_json.parse(raw)
    return caught.value


@pytest.mark.parametrize(("raw", "line", "column", "reason"), MALFORMED)
def test_malformed_json_is_refused_with_line_and_column(raw: bytes, line: int, column: int, reason: str) -> None:
    problem = refusal(raw)
    assert problem.code == "malformed_json"
    assert f"line {line}, column {column}" in problem.detail
    assert reason in problem.detail
    assert [(error.pointer, error.code) for error in problem.errors] == [("", "malformed_json")]


@pytest.mark.parametrize("value", [{}, [], "text", 1, -1.5, True, None, {"a": [{"b": "\u00e9\U0001f600"}]}, ""])
def test_what_json_allows_is_read_as_it_stands(value: Any) -> None:
    assert strict_json.parse(json.dumps(value).encode()) == value
    assert strict_json.parse(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("raw", "name", "position"),
    [
        (b'{"a": 1, "a": 1}', "a", "line 1, column 10"),
        (b'{"a": 1,\n "\\u0061": 2}', "a", "line 2, column 2"),
        (b'{"x": [{"y": 1,\n"y": 2}]}', "y", "line 2, column 1"),
        (b'{"a": "a", "b": {"a": 1}, "b": {}}', "b", "line 1, column 27"),
        (b'{"k": 1,\n "k": {"m": 1, "m": 2}}', "k", "line 2, column 2"),
        (b'{"": 1, "": 2}', "", "line 1, column 9"),
    ],
)
def test_a_member_name_that_stands_twice_is_named_with_its_second_place(raw: bytes, name: str, position: str) -> None:
    problem = refusal(raw)
    assert problem.code == "duplicate_member"
    assert f"{json.dumps(name)} stands twice" in problem.detail
    assert position in problem.detail
    assert [error.code for error in problem.errors] == ["duplicate_member"]


def test_equal_names_in_different_objects_are_no_duplicates() -> None:
    assert strict_json.parse(b'{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}')["b"][1] == {"a": 2}


@pytest.mark.parametrize("depth", [1_000, 5_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_a_bottomless_text_is_refused_and_breaks_nothing(opening: bytes, closing: bytes, depth: int) -> None:
    problem = refusal(opening * depth + b"1" + closing * depth)
    assert problem.code == "malformed_json"
    assert "64 levels" in problem.detail


def nested(depth: int) -> Any:
    value: Any = "innermost"
    for _ in range(depth):
        value = [value]
    return value


def test_64_levels_are_allowed_and_the_65th_is_pointed_at() -> None:
    assert strict_json.faults(nested(64)) == []
    (fault,) = strict_json.faults(nested(65))
    assert fault.pointer == "/0" * 64
    assert "64 levels" in fault.detail


@pytest.mark.parametrize(
    ("number", "allowed"),
    [
        ("9007199254740991", True),
        ("-9007199254740991", True),
        ("9007199254740992", False),
        ("-9007199254740992", False),
        ("9" * 50, False),
        ("9" * 5_000, False),
        ("-" + "9" * 500_000, False),
        ("1e308", True),
        ("1e309", False),
        ("-1e309", False),
        ("1e-400", True),
        ("0.1", True),
    ],
)
def test_numbers_that_readers_disagree_on_are_pointed_at(number: str, allowed: bool) -> None:
    value = strict_json.parse(b'{"a": [0, %s]}' % number.encode())
    assert [fault.pointer for fault in strict_json.faults(value)] == ([] if allowed else ["/a/1"])


@pytest.mark.parametrize(("text", "canonical"), [("1.0", "1"), ("-0.0", "0"), ("2.50", "2.5"), ("1e3", "1000")])
def test_a_number_is_read_as_its_canonical_form_will_be_read_again(text: str, canonical: str) -> None:
    assert str(strict_json.parse(text.encode())) == canonical


@pytest.mark.parametrize(
    ("raw", "pointers"),
    [
        (rb'{"a": "\u0000"}', ["/a"]),
        (rb'{"a\u0000b": 1}', [r"/a\u0000b"]),
        (rb'{"a": ["\ud83d", "\ud83d\ude00", "\udc00x"]}', ["/a/0", "/a/2"]),
        (rb'{"\ud800": 1}', [r"/\ud800"]),
        (rb'{"a~/b": "\u0000"}', ["/a~0~1b"]),
    ],
)
def test_text_that_is_no_text_is_pointed_at_in_printable_words(raw: bytes, pointers: list[str]) -> None:
    found = strict_json.faults(strict_json.parse(raw))
    assert [fault.pointer for fault in found] == pointers
    assert all(fault.code == "invalid_value" for fault in found)
    assert all(re.fullmatch(r"[\x20-\x7e]+", fault.pointer + fault.detail) for fault in found)


@pytest.mark.timeout(10)
def test_long_names_above_many_faults_cost_neither_time_nor_memory() -> None:
    found = strict_json.faults({"k" * 500_000: [float("inf")] * 60_000})
    assert len(found) == strict_json.MAX_FAULTS
    assert all(len(fault.pointer) <= 1_000 for fault in found)


# Pieces of JSON, of what is nearly JSON, and of what readers disagree on.
_PIECES = [
    b'{"a":',
    b'"a":',
    b'"b": ',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b" ",
    b"\n",
    b"1",
    b"-0",
    b"12",
    b"1.5",
    b"2e3",
    b"01",
]
_PIECES += [
    b"true",
    b"null",
    b"NaN",
    b"-Infinity",
    b'"x"',
    b'"\xc3\xa9"',
    b'"\\u0061"',
    b'"\\n\\""',
    b'"\xff"',
    b"9" * 17,
]
_PIECES += [
    b'"%s"' % (b"9" * 17),
    b'"\xf0\x9f\x98\x80"',
    b'"\xed\xa0\x80"',
    b"\xef\xbb\xbf",
    b'"\t"',
    b'"\x7f/"',
    b"'a'",
]
_VALUES = st.recursive(
    st.sampled_from([None, True, 0, -7, 1.5, "", "x", "é", '"', "9" * 17, 10**17]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab", max_size=1), inner, max_size=3),
    max_leaves=8,
)


def _told(read: Callable[[bytes], Any], raw: bytes) -> Any:
    """Write down what a reader makes of a text: repr tells 1 from 1.0 and from true."""
    try:
        return repr(read(raw))
    except Problem as problem:
        return problem.code, problem.detail


@given(
    st.lists(st.sampled_from(_PIECES), max_size=12).map(b"".join)
    | _VALUES.map(lambda value: json.dumps(value, ensure_ascii=False).encode())
    | st.tuples(_VALUES, _VALUES).map(lambda pair: b'{"a": %s, "a": %s}' % tuple(json.dumps(v).encode() for v in pair))
)
def test_the_quick_reading_is_the_strict_one(raw: bytes) -> None:
    assert _told(lambda text: plain_json.read(text)[0], raw) == _told(strict_json.parse, raw)


@given(_VALUES)
def test_what_is_plain_has_no_faults(value: Any) -> None:
    read, is_plain = plain_json.read(json.dumps(value).encode())
    assert not (is_plain and strict_json.faults(read))


@pytest.mark.parametrize("ending", [b'"a": 1, "a": 2', b'"a": NaN', b'"a": 1,'])
def test_a_fault_behind_a_long_text_is_found_without_much_memory(ending: bytes) -> None:
    raw = b'{"content": "' + b"A\\/" * 1_000_000 + b'", ' + ending + b"}"
    tracemalloc.start()
    try:
        with pytest.raises(Problem):
            strict_json.parse(raw)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()
