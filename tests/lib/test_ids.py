"""Identities: the same content has the same id, and nothing else has."""

import json
from uuid import RFC_4122, UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.lib import ids, plain_json, strict_json

VECTOR = {"\ue000": 1, "\U0001f600": 2, "a": -0.0, "b": 1.0, "c": 1e21}
CANONICAL = '{"a":0,"b":1,"c":1e+21,"\U0001f600":2,"\ue000":1}'.encode()


def test_the_canonical_form_is_that_of_rfc_8785() -> None:
    assert ids.canonical(VECTOR) == CANONICAL


def test_member_order_and_number_form_do_not_change_the_canonical_form() -> None:
    again = dict(reversed(json.loads('{"b":1,"a":0,"c":1e21}').items())) | {"\U0001f600": 2, "\ue000": 1}
    assert ids.canonical(again) == CANONICAL


@pytest.mark.parametrize("content", [{"a": 2**60}, {"a": float("inf")}, {"a": "\ud800"}, {"\ud800": 1}])
def test_content_without_a_canonical_form_has_a_stable_one_all_the_same(content: dict[str, object]) -> None:
    assert ids.canonical(content | {"z": 1}) == ids.canonical({"z": 1} | content)
    assert ids.canonical(content).isascii()


def test_a_notification_id_is_a_uuid_of_version_8_that_never_changes() -> None:
    made = ids.notification_id(1, CANONICAL)
    assert (made.version, made.variant) == (8, RFC_4122)
    assert made == UUID("8e76607b-a46b-87de-8b52-66c0368b7552")


def test_another_service_or_content_has_another_id() -> None:
    made = {ids.notification_id(service, content) for service in (1, 2, 11) for content in (b"{}", b"1{}", b"[]")}
    assert len(made) == 9


DELIVERIES = UUID("6f0d6e0c-6a39-5d8e-9f0b-1d1f3f6f5a11")


def test_delivery_ids_tell_channels_and_addresses_apart() -> None:
    notification = ids.notification_id(1, b"{}")
    made = {ids.delivery_id(notification, index, address) for index in (0, 1) for address in ("a@x", "b@x")}
    assert len(made) == 4
    assert ids.delivery_id(notification, 0, "a@x") in made
    assert ids.delivery_id(notification, 0, "é@x") == uuid5(DELIVERIES, f"{notification}/0/é@x")


def test_a_message_id_is_the_delivery_at_the_domain() -> None:
    delivery = ids.random_id()
    assert ids.message_id(delivery, "lab.example") == f"{delivery}@lab.example"
    assert ids.random_id() != delivery


NAMES = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**14), 10**14) | st.text(max_size=20) | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_the_quick_canonical_form_of_plain_text_is_the_exact_one(value: object) -> None:
    text = json.dumps([value], ensure_ascii=False).encode("utf-8", "surrogatepass")
    read, is_plain = plain_json.read(text)
    if is_plain:
        assert read == [value]
        assert strict_json.faults(value) == []
        assert ids.canonical(value, plain=True) == ids.canonical(value)


@pytest.mark.parametrize(
    "text",
    [
        '"\\u0000"',
        '"\\ud800"',
        '"😀"',
        "[1.0]",
        '{"a":1e3}',
        '{"a": -1E3}',
        "[0,9007199254740993]",
        "[-9007199254740993]",
        '{"\\u00e9": 1}',
        "[" * 65 + "]" * 65,
    ],
)
def test_a_text_with_something_special_is_not_plain(text: str) -> None:
    assert not plain_json.read(text.encode())[1]


@pytest.mark.parametrize(
    "text",
    [
        '{"b": [1, "é⚠"], "a": {"c": null}}',
        '{"barcode":"12345678901234567890","v":"1.5"}',
        '"line\\nbreak \\"quoted\\""',
        "-12345",
    ],
)
def test_ordinary_texts_are_plain(text: str) -> None:
    assert plain_json.read(text.encode())[1]
