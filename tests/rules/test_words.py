"""Words: the code speaks the field's language, as ``backend/docs/glossary.md`` lists it, and not one of its own."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rules import source

# In names and in sentences alike, each with what is said instead.
RETIRED = {
    "bell": "waker",
    "courier": "webhook sender",
    "crew": "worker pool",
    "door": "entry point",
    "estate": "deployment",
    "gate": "priority semaphore",
    "gatherer": "micro-batcher",
    "handover": "dispatch",
    "house": "application",
    "judge": "validate, check or classify",
    "judgement": "detection or classification",
    "lane": "pool, queue or bucket",
    "nudge": "wake, wake-up",
    "passage": "send context",
    "stranded": "orphaned",
    "tails": "pacing queues",
    "unwritten": "pending results",
    "verdict": "validation, or the state of a record",
}
# In names alone: in a sentence they are plain English.
RETIRED_NAMES = {
    "doubt": "unknown outcome",
    "forget": "purge, clear or reset",
    "hand": "sender",
    "mend": "reap, fix or restrict",
    "mending": "corrections",
    "pace": "interval, throttle or rate",
    "place": "slot, destination, pointer, position, membership, …",
    "remembered": "cached or recalled",
    "settled": "resolved",
    "room": "capacity, memory or package",
    "settle": "reconcile, conclude or end",
}
# Names that the database and the language give.
GIVEN = {
    "doubt": "a column of deliveries",
    "lane": "a column of attempt_windows",
    "place": "a column of spooled_letters",
    "places": "decimal places",
    "by_hand": "an idiom",
    "shake_hands": "the handshake of a protocol",
    "_shake_hands": "the handshake of a protocol",
}
# Sentences about somebody else's words.
QUOTED = re.compile(r"Exim(?: \(acl_smtp_mime\))?, Courier|gate keeper")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ENDINGS = ("", "s", "d", "ed", "ing")
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)


def _forms(word: str) -> set[str]:
    """Return a word with its endings."""
    stem = word.removesuffix("e")
    return {word + ending for ending in _ENDINGS} | ({stem + "ing"} if stem != word else set())


_ANYWHERE = {form for word in RETIRED for form in _forms(word)}
_IN_NAMES = _ANYWHERE | {form for word in RETIRED_NAMES for form in (word, word + "s")}


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def retired(text: str) -> Iterator[tuple[int, str]]:
    """Yield what a Python file calls by a retired word: the line, and the name or the word of a sentence."""
    if not _IN_NAMES.intersection(_words(text)):  # to take the text apart by Python's grammar takes ten times as long
        return
    docstrings = {
        node.value.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and token.string not in GIVEN:
            # The name of a test is a sentence.
            known = _ANYWHERE if token.string.startswith("test_") else _IN_NAMES
            if known.intersection(_words(token.string)):
                yield token.start[0], token.string
        elif token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.start[0] in docstrings):
            yield from ((token.start[0], word) for word in _said(token.string))


def _said(text: str) -> list[str]:
    """List the retired words of a sentence."""
    return [word for word in _words(QUOTED.sub("", text)) if word in _ANYWHERE]


def _python() -> list[Path]:
    return [path for path in source.files("backend", "tests", "e2e", kinds={".py"}) if "versions" not in path.parts]


def test_nothing_is_called_by_a_retired_word() -> None:
    own = Path(__file__)
    found = [
        f"{source.name(path)}:{line}: {word}"
        for path in _python()
        if path != own
        for line, word in retired(path.read_text(encoding="utf-8"))
    ]
    assert found == [], "backend/docs/glossary.md has the words that the code uses"


def test_no_module_and_no_page_is_called_by_a_retired_word() -> None:
    named = [source.name(path) for path in source.files() if _IN_NAMES.intersection(_words(path.stem))]
    assert named == []


def test_no_comment_of_a_page_uses_a_retired_word() -> None:
    comments = {
        source.name(path): " ".join(_COMMENT.findall(path.read_text(encoding="utf-8")))
        for path in source.files("portal_templates", kinds={".html"})
    }
    assert sum(bool(one) for one in comments.values()) > 20
    assert {name: said for name, one in comments.items() if (said := _said(one))} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "class Courier:\n    pass\n",
        "def nudge_workers() -> None:\n    pass\n",
        "_place = 1\n",
        '"""The door for clients."""\n',
        "x = 1  # judged by the house\n",
        "def test_the_crew_sleeps() -> None:\n    pass\n",
    ],
)
def test_a_retired_word_is_found(planted: str) -> None:
    assert list(retired(planted))


@pytest.mark.parametrize(
    "fine", ['"""Stands in place of the gateway."""\n', "placeholder = replaced = warehouse = 1\n"]
)
def test_plain_english_is_left_alone(fine: str) -> None:
    assert list(retired(fine)) == []
