"""What is wrong is said to people in words: pointers stand in their own member, and masks nowhere."""

import copy
import re
from collections.abc import Iterator
from typing import Any

from tests.api.conftest import Site
from tests.factories import notification

RECIPIENTS, TEMPLATES = "/registry/v1/recipients", "/registry/v1/templates"
GOOD_TEMPLATE = {
    "name": "T",
    "format": "html",
    "source": "<p>",
    "subject": "S",
    "sample_fields": {},
    "batch": {"quiet_seconds": 1},
    "repeat_after": "24h",
}
GOOD_RECIPIENT = {"name": "N", "endpoints": [{"type": "EMAIL", "address": "a@lab.example"}]}
BODIES: dict[str, tuple[str, str, Any]] = {
    "notification": ("POST", "/notifications/v1", notification() | {"aggregator_id": "x"}),
    "explain": ("POST", "/notifications/v1/explain", notification()),
    "bulk": ("POST", "/notifications/v1/bulk", {"notifications": [notification()]}),
    "recipient": ("PUT", f"{RECIPIENTS}/X_NEW", GOOD_RECIPIENT),
    "template": ("PUT", f"{TEMPLATES}/X_NEW", GOOD_TEMPLATE),
    "preview": ("POST", f"{TEMPLATES}/X_SAMPLE/preview", {"fields": {"sample_id": "S"}, "priority": "NORMAL"}),
}
_BAD: tuple[Any, ...] = (
    None,
    1,
    "",
    "x",
    "X_NOBODY",
    "\x00",
    "a\nb",
    [],
    [1],
    [{}],
    {},
    {"a": [{"b": "\x00"}]},
    True,
    "9" * 2100,
)
_POINTER = re.compile(r"(?<![\w:.])/\w+(/|\b)")
_MASK = re.compile(r"\^|\\[dw]|\[[^\]]*-[^\]]*\]|\{\d+,")


def mutations(value: Any) -> Iterator[Any]:
    """Yield what becomes of a value with one place of it bad, missing, doubled or unknown."""
    yield from (copy.deepcopy(bad) for bad in _BAD)
    if isinstance(value, dict):
        yield value | {"colour": 1, "Odd name": 2}
        for name, member in value.items():
            yield {key: one for key, one in value.items() if key != name}
            for changed in mutations(member):
                yield value | {name: changed}
    if isinstance(value, list):
        yield value * 2
        for position, entry in enumerate(value):
            for changed in mutations(entry):
                yield [*value[:position], changed, *value[position + 1 :]]


def sentences(answer: Any) -> Iterator[str]:
    """Yield every sentence of an answer, whole or by place."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            if name == "detail" and isinstance(value, str):
                yield value
            yield from sentences(value)
    elif isinstance(answer, list):
        for value in answer:
            yield from sentences(value)


def test_no_sentence_holds_a_pointer_or_a_mask(site: Site) -> None:
    told: set[str] = set()
    for method, path, good in BODIES.values():
        refused = 0
        for body in mutations(good):
            answer = site.http.request(method, path, json=body)
            assert answer.status_code < 500, (body, answer.text)
            refused += answer.status_code >= 400
            told |= set(sentences(answer.json()))
        assert refused > 10, path
    for parameters in ({"colour": "1"}, {"limit": "0"}, {"limit": "x"}, {"status": "GONE"}, {"cursor": "?"}):
        told |= set(sentences(site.http.get("/notifications/v1", params=parameters).json()))
    told |= set(sentences(site.http.put(f"{RECIPIENTS}/x", json=GOOD_RECIPIENT).json()))
    assert len(told) > 100
    assert [one for one in told if _POINTER.search(one) or _MASK.search(one)] == []


def test_a_pointer_stands_beside_its_sentence(site: Site) -> None:
    problem = site.send(notification(type=1)).json()
    assert problem[
        "detail"
    ] == "The request does not follow the schema: the type of the first channel must be one of " + (
        problem["errors"][0]["detail"].removeprefix("Must be one of ")
    )
    assert problem["errors"][0]["pointer"] == "/channels/0/type"
    problem = site.send(notification(recipient=["X_LAB", "X_NOBODY"])).json()
    assert problem["detail"] == (
        "Nothing was sent: at the second recipient of the first channel: No recipient 'X_NOBODY' is registered for"
        " this service."
    )
    assert problem["errors"][0]["pointer"] == "/channels/0/recipient/1"
