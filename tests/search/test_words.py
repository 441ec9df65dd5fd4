"""Words and queries: case, accents, beginnings, parts of ids, and whatever people paste into a search box."""

import sqlite3
from uuid import UUID

import pytest

from backend.search import query, words
from backend.search.query import FTS5, TSQUERY

UID = UUID("8f1c2a3b-4d5e-4f60-9a7b-c8d9e0f1a2b3")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Accessioning Failure", ["accessioning", "failure"]),
        ("Jürgen Müller-Weiß", ["jurgen", "muller", "weiss"]),
        ("Mu\u0308ller", ["muller"]),
        ("ÉCOLE İstanbul", ["ecole", "istanbul"]),
        ("jane.doe+lab@sanger.example", ["jane", "doe", "lab", "sanger", "example"]),
        ("X_LAB_STAKEHOLDERS", ["x", "lab", "stakeholders"]),
        ("40STDY246690", ["40stdy246690"]),
        ("ﬁle ½ ⑤", ["file", "12", "5"]),
        ("Лаборатория 検査", ["лаборатория", "検査"]),
        ("a\x00b\ud800c", ["a", "b", "c"]),
        ("'\"()*:-^&|!<>\\", []),
        ("x" * 500, ["x" * 64]),
    ],
)
def test_a_text_is_cut_into_folded_words(text: str, found: list[str]) -> None:
    assert words.of_text(text) == found


def test_every_part_of_an_id_has_words_that_the_id_has() -> None:
    own = words.of_id(UID)
    for length in range(5, 33):
        for first in range(33 - length):
            ways = words.id_parts(UID.hex[first : first + length])
            assert any(set(way) <= set(own) for way in ways), (first, length)
    for first in range(0, 32, 2):
        assert len(UID.hex[first:]) < 4 or words.id_parts(UID.hex[first : first + 4])[0][0] in own


def test_an_address_has_one_word_however_it_is_written() -> None:
    assert words.of_address("Jane@Lab.example ") == words.of_address("jane@lab.example")
    assert words.of_address("+44 7700 900-123") == words.of_address("+447700900123")
    assert words.of_address("jane@lab.example") in words.of_addresses("jane@lab.example;group_id=42")
    assert words.of_address("jane@lab.example") != words.of_address("jane@lab.exampl")


def test_a_query_has_each_term_once_and_knows_what_may_be_an_id() -> None:
    asked = query.read("  Jane@Lab.example  dead-beef jane@lab.EXAMPLE ... 2026 ")
    assert [term.words for term in asked.terms] == [("jane", "lab", "example"), ("dead", "beef"), ("2026",)]
    assert [term.digits for term in asked.terms] == [None, "deadbeef", "2026"]
    assert query.read("!!! --").is_empty
    assert query.read(str(UID)).digits == UID.hex
    assert query.read("abc").digits is None


def test_a_query_is_written_for_either_database() -> None:
    asked = query.read("jane.doe ab", None)
    assert FTS5.write(asked, 7) == '("s_7") AND (("jane" AND "doe"*)) AND (("ab"))'
    assert TSQUERY.write(asked, 7) == "('s_7') & (('jane' & 'doe':*)) & (('ab'))"


HOSTILE = [
    '"', '""', "'", "a OR b", "NEAR(a b)", "words:a", "a*", "-a", "^a", "a AND", "(", ")", "{a b}: c", "a\x00b",
    "\\", "a' & 'b", "a:*", "!a", "<->", "a | b", "%", "_", "'; DROP TABLE notifications; --", "\ud800", "é" * 5000,
    "a " * 5000, "s_1", "i_8f1c", "w_00", "😀", "\u202e abc", "٣٤٥٦", "a\u0301" * 300,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_hostile_is_only_text(text: str) -> None:
    asked = query.read(text)
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE w USING fts5(words, content='', tokenize=\"ascii tokenchars '_'\")")
    if not asked.is_empty:
        assert connection.execute("SELECT rowid FROM w WHERE w MATCH ?", [FTS5.write(asked, 1)]).fetchall() == []
        assert "''" not in TSQUERY.write(asked, 1)
    connection.close()


@pytest.mark.parametrize(
    ("text", "asked", "hit"),
    [
        ("An die Müller GmbH", "muller", "Müller"),
        ("Sample 40STDY246690 has failed", "40stdy", "40STDY246690"),
        ("to jane.doe@lab.example", "doe@lab", "doe@lab"),
        ("lab doe jane", "jane.doe", None),
        ("abc", "ab", None),
        ("Mu\u0308ller", "Müller", "Müller"),
    ],
)
def test_a_term_is_found_in_a_text(text: str, asked: str, hit: str | None) -> None:
    (term,) = query.read(asked).terms
    shown = words.composed(text)
    span = term.span(shown)
    assert (None if span is None else shown[slice(*span)]) == hit
