"""Differences: line beside line, with the words that changed, shortened, and in bounded time."""

import time

from hypothesis import given
from hypothesis import strategies as st

from backend.registry.comparison import Row, compare

LINES = st.lists(st.sampled_from(["a", "b", "<p>c</p>", "", "a b c"]), max_size=12)


def side(rows: list[Row], name: str) -> list[str]:
    """Put one side of a comparison together again."""
    numbered = [row for row in rows if getattr(row, f"{name}_number") is not None]
    return ["".join(piece.text for piece in getattr(row, name)) for row in numbered]


def test_a_changed_word_is_marked_on_both_sides() -> None:
    (row,) = compare("The old text", "The new text")
    assert (row.kind, row.left_number, row.right_number) == ("changed", 1, 1)
    assert [(piece.text, piece.marked) for piece in row.left] == [("The ", False), ("old", True), (" text", False)]
    assert [piece.text for piece in row.right if piece.marked] == ["new"]


def test_added_and_removed_lines_have_one_side() -> None:
    rows = compare("a\nb\nc", "a\nc\nd")
    assert [(row.kind, row.left_number, row.right_number) for row in rows] == [
        ("same", 1, 1),
        ("removed", 2, None),
        ("same", 3, 2),
        ("added", None, 3),
    ]


def test_equal_lines_far_from_a_difference_are_counted_only() -> None:
    old = "\n".join(str(number) for number in range(100))
    rows = compare(old, old.replace("50", "fifty"))
    assert [row.kind for row in rows] == ["gap", "same", "same", "same", "changed", "same", "same", "same", "gap"]
    assert [row.count for row in rows if row.kind == "gap"] == [47, 46]
    assert len(compare(old, old.replace("50", "fifty"), context=None)) == 100


def test_equal_texts_differ_nowhere_whatever_ends_their_lines() -> None:
    assert compare("a\r\nb", "a\nb") == []


@given(LINES, LINES)
def test_both_texts_can_be_read_from_their_comparison(old: list[str], new: list[str]) -> None:
    rows = compare("\n".join(old), "\n".join(new), context=None)
    if rows:
        assert side(rows, "left") == "\n".join(old).split("\n")
        assert side(rows, "right") == "\n".join(new).split("\n")


def test_texts_that_mean_harm_take_no_time() -> None:
    began = time.process_time()
    compare("\n".join(f"{number % 150}" for number in range(80_000)), "\n".join(f"{n % 149}" for n in range(80_000)))
    compare("x y " * 60_000, "y x " * 60_000)
    compare("\n".join(f"{n % 90}" for n in range(1_000)), "\n".join(f"{n % 91}" for n in range(1_000)))
    assert time.process_time() - began < 8
