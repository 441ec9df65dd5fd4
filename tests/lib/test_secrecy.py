"""Secrets are compared by digest, and sealed for one place under one key."""

import base64

import pytest

from backend.lib import secrecy

KEY, OTHER_KEY = "one-secret-key-0123456789", "another-secret-key-0123456"


def test_made_secrets_are_long_distinct_and_marked() -> None:
    made = {secrecy.make_secret("crs_") for _ in range(50)}
    assert len(made) == 50
    assert all(secret.startswith("crs_") and len(secret) >= 47 for secret in made)


def test_a_digest_depends_on_key_purpose_and_secret() -> None:
    first = secrecy.digest(KEY, "session", "secret")
    assert first == secrecy.digest(KEY, "session", "secret")
    others = {
        secrecy.digest(OTHER_KEY, "session", "secret"),
        secrecy.digest(KEY, "token", "secret"),
        secrecy.digest(KEY, "session", "Secret"),
    }
    assert len(others | {first}) == 4
    assert len(first) == 64


def test_same_tells_equal_from_different() -> None:
    assert secrecy.same("abc", "abc")
    assert not secrecy.same("abc", "abd")
    assert not secrecy.same("abc", "ab")
    assert secrecy.same("zoë", "zoë")


def test_what_is_sealed_opens_again_and_never_looks_the_same() -> None:
    sealed = [secrecy.encrypt(KEY, "tokens/1", "zoë's secret") for _ in range(2)]
    assert sealed[0] != sealed[1]
    assert "secret" not in sealed[0]
    assert [secrecy.decrypt(KEY, "tokens/1", one) for one in sealed] == ["zoë's secret"] * 2
    assert sealed[0].startswith(secrecy.key_id(KEY) + ".")


def test_it_opens_with_no_other_key_and_for_no_other_place() -> None:
    sealed = secrecy.encrypt(KEY, "tokens/1", "secret")
    for key, context in ((OTHER_KEY, "tokens/1"), (KEY, "tokens/2")):
        with pytest.raises(ValueError, match="another key or for another place"):
            secrecy.decrypt(key, context, sealed)


def test_what_was_altered_does_not_open() -> None:
    name, _, body = secrecy.encrypt(KEY, "tokens/1", "secret").partition(".")
    raw = bytearray(base64.urlsafe_b64decode(body))
    for index in (0, 12, len(raw) - 1):
        altered = bytes(byte ^ 1 if context == index else byte for context, byte in enumerate(raw))
        with pytest.raises(ValueError, match="sealed"):
            secrecy.decrypt(KEY, "tokens/1", f"{name}.{base64.urlsafe_b64encode(altered).decode()}")


def test_a_key_is_named_without_being_told() -> None:
    assert secrecy.key_id(KEY) != secrecy.key_id(OTHER_KEY)
    assert secrecy.key_id(KEY) not in KEY
