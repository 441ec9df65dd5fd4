"""The secret keys in use: the present one, which all new things are made under, and earlier ones, which still open."""

import msgspec

from backend.lib import secrecy, settings

MARK = "sealed:"


class SealedElsewhere(ValueError):
    """A secret was sealed under a key that is no longer among those in use."""


class Key(msgspec.Struct, frozen=True):
    """A secret key; the representation names it and does not tell it."""

    text: str

    @property
    def id(self) -> str:
        """Return the name that stands in what it sealed."""
        return secrecy.key_id(self.text)

    def __repr__(self) -> str:
        return f"Key({self.id})"


def in_use() -> list[Key]:
    """Return the keys in use, the present one first."""
    configuration = settings.current()
    return [Key(configuration.secret_key), *(Key(old) for old in configuration.old_secret_keys)]


def present_id() -> str:
    """Return the name of the present key."""
    return in_use()[0].id


def seal(context: str, plain: str) -> str:
    """Encrypt under the present key for one context; see ``secrecy.encrypt``."""
    return secrecy.encrypt(in_use()[0].text, context, plain)


def unseal(context: str, sealed: str) -> str:
    """Decrypt what ``seal`` made under any key in use.

    Raises:
        ValueError: ``SealedElsewhere`` for a key that is not in use; else if it was altered or is for another context.
    """
    return secrecy.decrypt(_named(sealed), context, sealed)


def is_present(sealed: str) -> bool:
    """Tell whether something was sealed under the present key."""
    return sealed.removeprefix(MARK).partition(".")[0] == present_id()


def seal_address(address: str) -> str:
    """Encrypt an address that is a secret: under one key the same always looks the same, so that it can be compared."""
    return MARK + seal_alike("address", address)


def unseal_address(stored: str) -> str:
    """Decrypt what ``seal_address`` made; an address that is no secret is stored as it is.

    Raises:
        ValueError: as ``unseal``.
    """
    if not stored.startswith(MARK):
        return stored
    return unseal_alike("address", stored.removeprefix(MARK))


def seal_alike(context: str, plain: str) -> str:
    """Encrypt under the present key for one context, the same text always alike; see ``secrecy.encrypt_alike``."""
    return secrecy.encrypt_alike(in_use()[0].text, context, plain)


def unseal_alike(context: str, sealed: str) -> str:
    """Decrypt what ``seal_alike`` made under any key in use.

    Raises:
        ValueError: as ``unseal``.
    """
    return secrecy.decrypt_alike(_named(sealed), context, sealed)


def digest(purpose: str, secret: str) -> str:
    """Return the digest by which a secret is kept."""
    return secrecy.digest(in_use()[0].text, purpose, secret)


def digests(purpose: str, secret: str) -> list[str]:
    """Return every digest under which a secret may be kept, the present key's first."""
    return [secrecy.digest(key.text, purpose, secret) for key in in_use()]


def _named(sealed: str) -> str:
    wanted = sealed.partition(".")[0]
    for key in in_use():
        if key.id == wanted:
            return key.text
    raise SealedElsewhere("This secret was sealed with another key than those in use.")
