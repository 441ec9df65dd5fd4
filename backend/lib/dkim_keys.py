"""The keys that sign mails, as the settings name them: ``domain:selector:path``, the order of OpenDKIM's key table."""

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

# A verifier may leave shorter RSA keys alone, and need not bear longer ones (RFC 8301, section 3.2).
_RSA_BITS = range(1024, 4097)
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MAX_OCTETS = 16_384

Secret = Ed25519PrivateKey | RSAPrivateKey


class UnusableKey(ValueError):
    """A key that cannot be used; the text goes on after the name of the setting, and holds no secret."""


class DkimKey(msgspec.Struct, frozen=True):
    """A key and where receivers find its public half: at ``selector._domainkey.domain`` (RFC 6376, section 3.6.2.1)."""

    domain: str
    selector: str
    secret: Secret

    def __repr__(self) -> str:
        return f"DkimKey({self.domain!r}, {self.selector!r})"

    @property
    def kind(self) -> str:
        """The kind of the key, as its record has it: ``rsa`` or ``ed25519`` (RFC 8463)."""
        return "rsa" if isinstance(self.secret, RSAPrivateKey) else "ed25519"

    @property
    def record_name(self) -> str:
        """The name of its record."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The text of its record."""
        return f"v=DKIM1; k={self.kind}; p={base64.b64encode(self._public()).decode()}"

    def _public(self) -> bytes:
        # For Ed25519 it is the bare key (RFC 8463, section 4), for RSA a SubjectPublicKeyInfo.
        if isinstance(self.secret, Ed25519PrivateKey):
            return self.secret.public_key().public_bytes_raw()
        return self.secret.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def of_domain(keys: Sequence[DkimKey], domain: str) -> list[DkimKey]:
    """Return the keys of a domain, or of the nearest domain above it that has some; the domain is in lower case."""
    by_domain: Mapping[str, list[DkimKey]] = {
        key.domain: [one for one in keys if one.domain == key.domain] for key in keys
    }
    while domain:
        if domain in by_domain:
            return by_domain[domain]
        domain = domain.partition(".")[2]
    return []


def in_ascii(domain: str) -> str:
    """Return a domain as the DNS has it, in lower case (RFC 5890); one that cannot be written so as it is."""
    try:
        return domain.lower() if domain.isascii() else domain.lower().encode("idna").decode()
    except UnicodeError:
        return domain.lower()


def is_name(text: str) -> bool:
    """Tell whether a text can be a domain or a selector: labels of a DNS name in lower case."""
    return len(text) <= 253 and _NAME.fullmatch(text) is not None


def read(given: Sequence[str]) -> tuple[DkimKey, ...]:
    """Read the keys that a setting names.

    Raises:
        UnusableKey: for the first that cannot be used.
    """
    return tuple(_key(one) for one in given)


def _key(given: str) -> DkimKey:
    domain, _, rest = given.partition(":")
    selector, _, path = rest.partition(":")
    domain, selector = domain.strip().lower().rstrip("."), selector.strip().lower()
    if not (is_name(domain) and "." in domain and is_name(selector) and path.strip()):
        raise UnusableKey(
            "must list keys as domain:selector:file, such as lab.example:c2026:/etc/carillon/c2026.key, "
            f"with commas between, not {given[:80]!r}."
        )
    return DkimKey(domain, selector, _secret(Path(path.strip())))


def _secret(path: Path) -> Secret:
    try:
        with path.open("rb") as file:
            secret = load_pem_private_key(file.read(_MAX_OCTETS), password=None)
    except OSError as fault:
        raise UnusableKey(f"names a key file that cannot be read: {path} ({fault.strerror}).") from fault
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's own text may quote the file.
        raise UnusableKey(f"names a file that holds no private key in PEM without a password: {path}.") from None
    if isinstance(secret, Ed25519PrivateKey) or (isinstance(secret, RSAPrivateKey) and secret.key_size in _RSA_BITS):
        return secret
    raise UnusableKey(f"names a key that is neither Ed25519 nor RSA of 1024 to 4096 bits: {path}.")
