"""The keys of an installation, sealed with a passphrase for its backup."""

import os
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from backend.backups.manifest import Damaged
from backend.lib.settings import Settings

NAME = "keys.json"
# 64 MiB of memory for each guess (RFC 7914, section 2): a fraction of a second for whoever knows the passphrase.
_COST, _BLOCK = 2**16, 8
_MOST_COST = 2**20
_LEAST_LETTERS = 12
_PURPOSE = b"carillon/backup/keys"


class WrongPassphrase(Exception):
    """The keys do not open; the text is a sentence."""


class Dkim(msgspec.Struct, frozen=True):
    """A key that signs mails, in PEM."""

    domain: str
    selector: str
    pem: str

    def __repr__(self) -> str:
        return f"Dkim({self.domain!r}, {self.selector!r})"


class Keys(msgspec.Struct, frozen=True):
    """All that has to be kept secret for the database to be of use."""

    secret_key: str
    old_secret_keys: tuple[str, ...]
    dkim: tuple[Dkim, ...]

    def __repr__(self) -> str:
        return f"Keys(old={len(self.old_secret_keys)}, dkim={self.dkim!r})"


class _Sealed(msgspec.Struct, frozen=True):
    kdf: Literal["scrypt"]
    cost: int
    block: int
    salt: bytes
    nonce: bytes
    sealed: bytes


def of_settings(configuration: Settings) -> Keys:
    """Gather the keys that the settings name."""
    dkim = tuple(
        Dkim(
            key.domain,
            key.selector,
            key.secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        )
        for key in configuration.dkim
    )
    return Keys(configuration.secret_key, configuration.old_secret_keys, dkim)


def seal(keys: Keys, passphrase: str) -> bytes:
    """Seal keys with a passphrase, AES-256-GCM under what scrypt makes of it.

    Raises:
        ValueError: for a passphrase that is too short.
    """
    if len(passphrase) < _LEAST_LETTERS:
        raise ValueError(f"The passphrase must have at least {_LEAST_LETTERS} letters.")
    salt, nonce = os.urandom(16), os.urandom(12)
    sealed = AESGCM(_derived(passphrase, salt, _COST, _BLOCK)).encrypt(nonce, msgspec.json.encode(keys), _PURPOSE)
    return msgspec.json.encode(_Sealed("scrypt", _COST, _BLOCK, salt, nonce, sealed))


def unseal(raw: bytes, passphrase: str) -> Keys:
    """Open what ``seal`` made.

    Raises:
        Damaged: it is nothing of ours.
        WrongPassphrase: the passphrase is another one.
    """
    try:
        found = msgspec.json.decode(raw, type=_Sealed)
        if found.cost > _MOST_COST or found.block != _BLOCK:
            raise Damaged("Its keys ask for more memory than any passphrase needs.")
        key = _derived(passphrase, found.salt, found.cost, found.block)
        return msgspec.json.decode(AESGCM(key).decrypt(found.nonce, found.sealed, _PURPOSE), type=Keys)
    except (msgspec.DecodeError, ValueError) as error:
        raise Damaged("Its keys cannot be read.") from error
    except InvalidTag as error:
        raise WrongPassphrase("The passphrase does not open the keys of this backup.") from error


def _derived(passphrase: str, salt: bytes, cost: int, block: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=cost, r=block, p=1).derive(passphrase.encode())
