"""Places are said in words, as people read them."""

import pytest

from backend.lib import pointers
from backend.lib.problems import FieldError


@pytest.mark.parametrize(
    ("pointer", "words"),
    [
        ("", "the body"),
        ("/priority", "the priority"),
        ("/channels/0", "the first channel"),
        ("/channels/0/type", "the type of the first channel"),
        ("/channels/11/recipients/20", "the 21st recipient of the 12th channel"),
        ("/endpoints/2/address", "the address of the third endpoint"),
        ("/notifications/99/channels/1/fields", "the fields of the second channel of the 100th notification"),
        ("/channels/0/fields/type", "the member 'type' of the fields of the first channel"),
        ("/channels/0/fields/a~1b/3", "the fourth entry of the member 'a/b' of the fields of the first channel"),
        ("/fields/0/3", "the fourth entry of the first entry of the fields"),
        ("/Channels", "the member 'Channels'"),
        ("/batch/max_items", "the max_items of the batch"),
    ],
)
def test_a_place_in_words(pointer: str, words: str) -> None:
    assert pointers.in_words(pointer) == words


def test_a_deep_place_and_a_long_name_are_cut() -> None:
    deep = pointers.in_words("/channels/0/fields" + "/a" * 60 + "/" + "b" * 900)
    assert deep.endswith("the member 'a' of the fields of the first channel")
    assert "deep within it" in deep
    assert len(deep) < 300


@pytest.mark.parametrize(
    ("pointer", "code", "detail", "said"),
    [
        (
            "/channels/0/type",
            "invalid_type",
            "Must be a string.",
            "the type of the first channel must be a string",
        ),
        (
            "/channels/1/id",
            "unknown_member",
            "The member 'id' is not known here.",
            "The member 'id' is not known here, in the second channel",
        ),
        ("/name", "missing_member", "The member 'name' is missing.", "The member 'name' is missing"),
        (
            "/channels/0/subject",
            "missing_subject",
            "A subject is needed.",
            "at the subject of the first channel: A subject is needed",
        ),
    ],
)
def test_a_fault_is_said_with_its_place(pointer: str, code: str, detail: str, said: str) -> None:
    assert pointers.sentence(FieldError(pointer, code, detail)) == said


def test_a_refusal_is_said_by_its_fault_with_the_place_only_where_that_is_needed() -> None:
    told = FieldError("/channels/0/recipient/0", "unknown_recipient", "No recipient 'X' is registered.")
    needs = FieldError("/channels/0/type", "invalid_type", "Must be a string.")
    assert pointers.refusal("Nothing was sent: at …", [told]) == "No recipient 'X' is registered."
    assert pointers.refusal("", [needs, told]) == (
        "The type of the first channel must be a string. There are 2 faults in all."
    )
    assert pointers.refusal("The service has been switched off.", []) == "The service has been switched off."
