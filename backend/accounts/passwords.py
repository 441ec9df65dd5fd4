"""Passwords kept as Argon2id hashes (RFC 9106), at the parameters that OWASP recommends."""

import threading
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from backend.lib.problems import Problem

MIN_LENGTH = 10
MAX_LENGTH = 1024

_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Each hash takes 19 MiB and about 20 ms of one core; more at a time would only starve the rest of the process.
_slots = threading.BoundedSemaphore(2)


def check(password: str) -> None:
    """Refuse a password that is too short or absurdly long.

    Raises:
        Problem: ``invalid_value``.
    """
    if len(password) < MIN_LENGTH:
        raise Problem("invalid_value", f"A password has at least {MIN_LENGTH} characters.")
    if len(password) > MAX_LENGTH or not _is_text(password):
        raise Problem("invalid_value", f"A password has at most {MAX_LENGTH} characters, each of them whole.")


def make_hash(password: str) -> str:
    """Hash a password with a fresh salt."""
    with _slots:
        return _hasher.hash(password)


def matches(stored: str | None, password: str) -> bool:
    """Tell whether ``password`` is the one of ``stored``.

    Without a stored hash it takes the same time and answers False, so that the time tells nothing about who exists.
    """
    if len(password) > MAX_LENGTH or not _is_text(password):
        return False
    with _slots:
        try:
            right = _hasher.verify(stored or _decoy(), password)
        except (VerificationError, InvalidHashError):
            return False
    return right and stored is not None


def _is_text(password: str) -> bool:
    """Tell whether the text has a form in UTF-8: half of a surrogate pair has none."""
    return not any("\ud800" <= character <= "\udfff" for character in password)


@lru_cache(maxsize=1)
def _decoy() -> str:
    return _hasher.hash("the password of nobody")
