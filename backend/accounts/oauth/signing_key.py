"""The keys that sign access tokens, the same on every machine that shares the secret key and the database.

Ed25519 and P-256 keys are derived from the secret key instead of being kept beside it. So nothing has to be copied
between machines, two processes that start together agree, and a new secret key brings new signing keys. Without
CARILLON_SECRET_KEY the secret key is the one that the data directory keeps, and the signing keys follow from that. RSA
keys cannot be derived by a standard way: one is made when CARILLON_TOKEN_ALGORITHM first asks for it, and kept sealed
in the database.

Whatever the algorithm of the present is, tokens of the others are taken and their public keys are published: so it can
be changed without a pause.
"""

from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey, KeyParameters, OKPKey, RSAKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db import database as db
from backend.db.models.accounts import SigningKey
from backend.db.statements import insert
from backend.lib import keyring, secrecy, settings

_PURPOSE = "oauth/signing-key"
_RSA = "RS256"
_RSA_BITS = 3072  # good for use beyond 2030 (NIST SP 800-57 part 1, table 2)
_PEM = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
# The order of the group of P-256 (FIPS 186-5; SP 800-186, section 3.2.1.3).
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Key = OKPKey | ECKey | RSAKey


def algorithm() -> str:
    """Return the algorithm that tokens are signed with."""
    return settings.current().token_algorithm


def current() -> Key:
    """Return the private key of the present, named by its thumbprint (RFC 7638)."""
    configuration = settings.current()
    match configuration.token_algorithm:
        case "EdDSA":
            return _ed25519(configuration.secret_key)
        case "ES256":
            return _p256(configuration.secret_key)
        case "RS256":
            return _rsa(db.current(), configuration.secret_key)


def checking() -> list[Key]:
    """Return the keys that tokens may be signed with, the present one first.

    They are those of every algorithm, and while secret keys change also those under the keys before it.
    """
    secret_keys = [key.text for key in keyring.in_use()]
    derived: list[Key] = [make(text) for text in secret_keys for make in (_ed25519, _p256)]
    present = current()
    others = [*derived, *_kept()]
    return [present, *(key for key in others if key.kid != present.kid)]


def public_jwks() -> dict[str, list[dict[str, str]]]:
    """Return the JWK Set (RFC 7517) that others check our tokens with."""
    public = [key.as_dict(private=False) for key in checking()]
    return {"keys": [{name: str(value) for name, value in members.items()} for members in public]}


@lru_cache(maxsize=16)
def _ed25519(secret_key: str) -> OKPKey:
    # The keyed digest is HMAC-SHA-256 under a key made by HKDF for this purpose alone: 32 bytes fit for a seed.
    seed = bytes.fromhex(secrecy.digest(secret_key, _PURPOSE, "ed25519"))
    pem = Ed25519PrivateKey.from_private_bytes(seed).private_bytes(*_PEM)
    return OKPKey.import_key(pem, _members(OKPKey.import_key(pem).thumbprint(), "EdDSA"))


@lru_cache(maxsize=16)
def _p256(secret_key: str) -> ECKey:
    # FIPS 186-5, A.2.1: more bits than the order has, reduced, so that no number is likelier than another.
    digests = [secrecy.digest(secret_key, _PURPOSE, f"p-256/{part}") for part in (1, 2)]
    number = int("".join(digests), 16) % (_P256_ORDER - 1) + 1
    pem = ec.derive_private_key(number, ec.SECP256R1()).private_bytes(*_PEM)
    return ECKey.import_key(pem, _members(ECKey.import_key(pem).thumbprint(), "ES256"))


@lru_cache(maxsize=4)
def _rsa(database: db.Database, secret_key: str) -> RSAKey:
    """Return the RSA key under a secret key, made now if there is none; of two that are made at once one stays."""
    key_id = secrecy.key_id(secret_key)
    with database.read() as session:
        sealed = _sealed(session, key_id)
    if sealed is None:
        pem = generate_private_key(65537, _RSA_BITS).private_bytes(*_PEM).decode()
        row = {"algorithm": _RSA, "key_id": key_id, "sealed": keyring.seal(_PURPOSE, pem)}
        with database.transaction() as session:
            session.execute(insert(session, SigningKey).values(row).on_conflict_do_nothing())
            sealed = _sealed(session, key_id)
    return _opened(sealed or "")


def _sealed(session: Session, key_id: str) -> str | None:
    wanted = (SigningKey.algorithm == _RSA, SigningKey.key_id == key_id)
    return session.scalar(select(SigningKey.sealed).where(*wanted))


def _kept() -> list[RSAKey]:
    """Return the RSA keys that can be opened: those sealed under keys in use."""
    in_use = [key.id for key in keyring.in_use()]
    with db.current().read() as session:
        kept = session.scalars(select(SigningKey.sealed).where(SigningKey.key_id.in_(in_use))).all()
    return [_opened(sealed) for sealed in kept]


@lru_cache(maxsize=16)
def _opened(sealed: str) -> RSAKey:
    pem = keyring.unseal(_PURPOSE, sealed)
    return RSAKey.import_key(pem, _members(RSAKey.import_key(pem).thumbprint(), _RSA))


def _members(name: str, algorithm_name: str) -> KeyParameters:
    return {"kid": name, "use": "sig", "alg": algorithm_name}
