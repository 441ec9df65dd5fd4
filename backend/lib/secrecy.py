"""Secrets: made, compared by keyed digest, and encrypted at rest, all under keys derived from the secret key."""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12


@lru_cache(maxsize=256)
def _key(secret_key: str, purpose: str, length: int = 32) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=f"carillon/{purpose}".encode()).derive(
        secret_key.encode()
    )


@lru_cache(maxsize=64)
def key_id(secret_key: str) -> str:
    """Name a secret key without telling it, so that each ciphertext says which key it needs."""
    return hashlib.sha256(_key(secret_key, "key-id")).hexdigest()[:8]


def make_secret(prefix: str = "") -> str:
    """Make a secret of 256 random bits; the prefix tells a reader (and a leak scanner) what it is."""
    return prefix + secrets.token_urlsafe(32)


def digest(secret_key: str, purpose: str, secret: str) -> str:
    """Return the keyed digest (HMAC-SHA-256, hex) by which a machine-made secret is looked up and compared."""
    return hmac.new(_key(secret_key, f"digest/{purpose}"), secret.encode(), hashlib.sha256).hexdigest()


def same(left: str, right: str) -> bool:
    """Compare in a time that does not depend on where the two differ."""
    return hmac.compare_digest(left.encode(), right.encode())


def encrypt(secret_key: str, context: str, plain: str) -> str:
    """Encrypt with AES-256-GCM for one ``context`` (table, row and column), which must be given again to decrypt."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(_key(secret_key, "encrypt")).encrypt(nonce, plain.encode(), context.encode())
    return f"{key_id(secret_key)}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"


def decrypt(secret_key: str, context: str, sealed: str) -> str:
    """Decrypt what ``encrypt`` made.

    Raises:
        ValueError: if the text was sealed with another key, for another context, or was altered.
    """
    raw = base64.urlsafe_b64decode(sealed.partition(".")[2])
    with _opening():
        opened = AESGCM(_key(secret_key, "encrypt")).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], context.encode())
    return opened.decode()


def encrypt_alike(secret_key: str, context: str, plain: str) -> str:
    """Encrypt with AES-SIV (RFC 5297): the same text gives the same ciphertext, so that columns can be compared by it.

    It tells whoever reads the database which texts are equal, and nothing else.
    """
    sealed = AESSIV(_key(secret_key, "encrypt-alike", 64)).encrypt(plain.encode(), [context.encode()])
    return f"{key_id(secret_key)}.{base64.urlsafe_b64encode(sealed).decode()}"


def decrypt_alike(secret_key: str, context: str, sealed: str) -> str:
    """Decrypt what ``encrypt_alike`` made.

    Raises:
        ValueError: if the text was sealed with another key, for another context, or was altered.
    """
    raw = base64.urlsafe_b64decode(sealed.partition(".")[2])
    with _opening():
        opened = AESSIV(_key(secret_key, "encrypt-alike", 64)).decrypt(raw, [context.encode()])
    return opened.decode()


@contextmanager
def _opening() -> Iterator[None]:
    """Say what it means that a text does not open."""
    try:
        yield
    except InvalidTag as error:
        raise ValueError("This secret was sealed with another key or for another place.") from error
