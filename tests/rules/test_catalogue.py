"""The error catalogue: every code that the program says is in it, and every code in it is said somewhere."""

import ast
import re

import pytest

from backend.lib.catalogue import CATALOGUE
from backend.lib.catalogue_entry import Entry
from backend.lib.problems import FieldError, Problem, details
from tests.rules import source

SAID_IN = [path for path in source.files("backend", kinds={".py"}) if path.name != "catalogue.py"]


def words() -> set[str]:
    """Return every string constant of the program that could be a code."""
    return {
        node.value
        for path in SAID_IN
        for node in ast.walk(source.tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def said_codes() -> set[str]:
    """Return the codes that stand in calls of Problem and FieldError."""
    positions = {"Problem": 0, "FieldError": 1, "problem": 0}
    codes = set()
    for path in SAID_IN:
        for called, call in source.calls(path):
            position = positions.get(called)
            if position is not None and len(call.args) > position:
                code = call.args[position]
                if isinstance(code, ast.Constant) and isinstance(code.value, str):
                    codes.add(code.value)
    return codes


def test_every_code_of_the_catalogue_is_said_somewhere() -> None:
    assert set(CATALOGUE) - words() == set()


def test_every_code_that_is_said_is_in_the_catalogue() -> None:
    said = said_codes()
    assert len(said) > 15
    assert said - set(CATALOGUE) == set()


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: entry.code)
def test_every_entry_says_what_it_means_and_what_to_do(entry: Entry) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", entry.code)
    assert 400 <= entry.status <= 599
    assert entry.title[0].isupper()
    assert not entry.title.endswith(".")
    for sentence in (entry.meaning, entry.remedy):
        assert sentence[0].isupper()
        assert sentence.endswith(".")


def test_a_problem_is_described_as_rfc_9457_does() -> None:
    problem = Problem("invalid_request", "Why.", errors=[FieldError("/a", "invalid_type", "Must be a string.")])
    described = details(problem, "https://carillon.example/docs/errors", "an id")
    assert (described.type, described.status) == ("https://carillon.example/docs/errors#invalid_request", 400)
    assert (described.title, described.detail, described.code) == ("Invalid request", "Why.", "invalid_request")
    assert described.errors == list(problem.errors)
    assert (described.notification_id, described.notification_status) == ("an id", "FAILED")
    assert details(problem, "").notification_status is None
