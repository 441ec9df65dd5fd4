"""Data is checked against its model with every fault at once, each in a plain sentence at its pointer."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from backend.lib import strict_json
from backend.lib.catalogue import CATALOGUE
from backend.lib.problems import Problem
from backend.lib.strict_json import Shape


class Sample(Shape):
    """A shape with one member of every kind."""

    name: Annotated[str, Field(min_length=2, max_length=4, pattern="^[a-z]+$")]
    count: Annotated[int, Field(ge=1, le=9)] = 1
    ratio: float = 1.0
    ready: bool = False
    kind: Literal["one", "two"] = "one"
    parts: Annotated[list[str], Field(min_length=1, max_length=2, default_factory=lambda: ["x"])]
    more: Annotated[dict[str, int], Field(default_factory=dict)]


GOOD: dict[str, Any] = {"name": "abc"}


def faults(data: Any) -> dict[str, tuple[str, str]]:
    with pytest.raises(Problem) as caught:
        strict_json.check(Sample, data)
    assert caught.value.code == "invalid_request"
    return {error.pointer: (error.code, error.detail) for error in caught.value.errors}


@pytest.mark.parametrize(
    ("data", "pointer", "code", "sentence"),
    [
        ({}, "/name", "missing_member", "The member 'name' is missing."),
        (GOOD | {"size": 1}, "/size", "unknown_member", "The member 'size' is not known here."),
        ({"name": 1}, "/name", "invalid_type", "Must be a string."),
        ({"name": None}, "/name", "invalid_type", "Must be a string."),
        (GOOD | {"count": "1"}, "/count", "invalid_type", "Must be a whole number."),
        (GOOD | {"count": True}, "/count", "invalid_type", "Must be a whole number."),
        (GOOD | {"ratio": "1"}, "/ratio", "invalid_type", "Must be a number."),
        (GOOD | {"ready": 1}, "/ready", "invalid_type", "Must be true or false."),
        (GOOD | {"parts": "x"}, "/parts", "invalid_type", "Must be an array."),
        (GOOD | {"more": []}, "/more", "invalid_type", "Must be an object."),
        (GOOD | {"more": {"a/b": "x"}}, "/more/a~1b", "invalid_type", "Must be a whole number."),
        (GOOD | {"parts": ["x", 2]}, "/parts/1", "invalid_type", "Must be a string."),
        ([], "", "invalid_type", "Must be an object."),
        ({"name": "a"}, "/name", "invalid_value", "Must have at least 2 characters."),
        ({"name": "abcde"}, "/name", "invalid_value", "Must have at most 4 characters."),
        ({"name": "ABC"}, "/name", "invalid_value", "Must have the form that the API documentation shows."),
        (GOOD | {"count": 0}, "/count", "invalid_value", "Must be at least 1."),
        (GOOD | {"count": 10}, "/count", "invalid_value", "Must be at most 9."),
        (GOOD | {"kind": "three"}, "/kind", "invalid_value", "Must be one of 'one' or 'two'."),
        (GOOD | {"parts": []}, "/parts", "invalid_value", "Must have at least 1 entries."),
        (GOOD | {"parts": ["a", "b", "c"]}, "/parts", "invalid_value", "Must have at most 2 entries."),
    ],
)
def test_each_fault_has_its_pointer_code_and_sentence(data: Any, pointer: str, code: str, sentence: str) -> None:
    assert faults(data) == {pointer: (code, sentence)}
    assert code in CATALOGUE


def test_good_data_comes_back_as_the_model() -> None:
    assert strict_json.check(Sample, GOOD | {"count": 3}).count == 3


def test_all_faults_are_told_at_once() -> None:
    assert faults({"name": 1, "count": 0, "size": 2}).keys() == {"/name", "/count", "/size"}


def test_the_detail_names_the_first_place_and_counts_the_others() -> None:
    with pytest.raises(Problem) as caught:
        strict_json.check(Sample, {"name": 1, "count": 0, "size": 2})
    assert "schema: the name must be a string. There are 2 more faults." in caught.value.detail


def test_of_many_faults_fifty_are_told_and_all_are_counted() -> None:
    with pytest.raises(Problem) as caught:
        strict_json.check(Sample, GOOD | {f"x{number}": number for number in range(3_000)})
    assert len(caught.value.errors) == 50
    assert "2999 more faults" in caught.value.detail


def test_a_name_of_hostile_length_makes_no_answer_of_hostile_length() -> None:
    ((pointer, (code, detail)),) = faults(GOOD | {"n" * 100_000: 1}).items()
    assert code == "unknown_member"
    assert len(pointer) <= 1_000
    assert len(detail) <= 200


def test_values_never_stand_in_the_answer() -> None:
    told = str(faults({"name": "hunter2-secret", "kind": "hunter2-secret"}))
    assert "hunter2" not in told
