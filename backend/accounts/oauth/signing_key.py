"""The key that signs access tokens: Ed25519, the same on every machine that shares the secret key.

It is derived from the secret key instead of being kept beside it. So nothing has to be copied between machines, two
processes that start together agree, and a new secret key brings a new signing key. Without CARILLON_SECRET_KEY the
secret key is the one that the data directory keeps, and the signing key follows from that.
"""

from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import OKPKey

from backend.lib import keyring, secrecy, settings

ALGORITHM = "EdDSA"


def current() -> OKPKey:
    """Return the private key, named by its thumbprint (RFC 7638)."""
    return _derived(settings.current().secret_key)


def checking() -> list[OKPKey]:
    """Return the keys that tokens may be signed with: the present one, and while secret keys change those before it."""
    return [_derived(key.text) for key in keyring.in_use()]


@lru_cache(maxsize=16)
def _derived(secret_key: str) -> OKPKey:
    # The keyed digest is HMAC-SHA-256 under a key made by HKDF for this purpose alone: 32 bytes fit for a seed.
    seed = bytes.fromhex(secrecy.digest(secret_key, "oauth/signing-key", "ed25519"))
    pem = Ed25519PrivateKey.from_private_bytes(seed).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    name = OKPKey.import_key(pem).thumbprint()
    return OKPKey.import_key(pem, {"kid": name, "use": "sig", "alg": ALGORITHM})


def public_jwks() -> dict[str, list[dict[str, str]]]:
    """Return the JWK Set (RFC 7517) that others check our tokens with."""
    public = [key.as_dict(private=False) for key in checking()]
    return {"keys": [{name: str(value) for name, value in members.items()} for members in public]}
