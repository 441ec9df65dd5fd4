"""Signed JWTs (RFC 7515, RFC 7519), read with the asymmetric algorithms of an allow-list only."""

import json
from collections.abc import Sequence
from typing import Any, get_args

import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from backend.lib.issuer_settings import Algorithm

ALGORITHMS: tuple[str, ...] = get_args(Algorithm)
MAX_TOKEN = 8192
_MAX_KEYS = 50


class InvalidJwt(Exception):
    """A JWT that cannot be trusted; the text says why and repeats nothing of it."""


class UnknownKey(InvalidJwt):
    """The JWT names a key that the signer's set does not hold, perhaps one that is newer."""


class Jwt(msgspec.Struct, frozen=True):
    """The header and the claims of a JWT whose signature was checked."""

    header: dict[str, Any]
    claims: dict[str, Any]


class _Registry(JWSRegistry):
    """The allow-list, without joserfc's warning at each use of EdDSA.

    RFC 9864 renames EdDSA to Ed25519, but most verifiers that our tokens meet know the older name only.
    """

    max_header_length = 4096

    def get_alg(self, name: str) -> Any:
        if name not in ALGORITHMS or name not in self.algorithms:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


# Other issuers put parameters of their own into the header; only ``crit`` makes them binding.
REGISTRY = _Registry(algorithms=ALGORITHMS, strict_check_header=False)


def sign(header: dict[str, Any], claims: dict[str, Any], key: Key) -> str:
    """Write a compact JWT."""
    return jwt.encode(header, claims, key, registry=REGISTRY)


def unverified(token: str) -> Jwt:
    """Read a JWT without checking its signature, to learn whose keys to check it with.

    Raises:
        InvalidJwt: if it is not one, or longer than 8 KiB.
    """
    if len(token) > MAX_TOKEN:
        raise InvalidJwt("The JWT is too long.")
    try:
        parsed = jws.extract_compact(token.encode("ascii"), registry=REGISTRY)
        claims = json.loads(parsed.payload or b"")
    except (JoseError, ValueError, RecursionError) as error:
        raise InvalidJwt("This is not a signed JWT.") from error
    if not isinstance(claims, dict):
        raise InvalidJwt("The payload of the JWT is not an object.")
    return Jwt(dict(parsed.headers()), claims)


def verified(token: str, keys: Sequence[Key]) -> Jwt:
    """Read a JWT that one of ``keys`` has signed: the one that its ``kid`` names, else any that fits.

    Raises:
        UnknownKey: if the header names a key that is not there.
        InvalidJwt: if no key fits.
    """
    named = unverified(token).header.get("kid")
    candidates = [key for key in keys if named is None or key.kid is None or key.kid == named]
    if not candidates:
        raise UnknownKey("No key of the signer has this kid.")
    for key in candidates:
        try:
            read = jwt.decode(token, key, registry=REGISTRY)
        except (JoseError, ValueError, TypeError):
            continue
        return Jwt(dict(read.header), dict(read.claims))
    raise InvalidJwt("The signature does not fit a key of the signer.")


def public_keys(jwks: object) -> list[Key]:
    """Read the keys of a JWK Set that may check signatures; what cannot be used is passed over (RFC 7517 §5)."""
    rows = jwks.get("keys") if isinstance(jwks, dict) else None
    found: list[Key] = []
    for row in rows[:_MAX_KEYS] if isinstance(rows, list) else []:
        if not isinstance(row, dict) or row.get("kty") == "oct" or row.get("use", "sig") != "sig":
            continue
        try:
            found.extend(KeySet.import_key_set({"keys": [row]}).keys)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return [key for key in found if isinstance(key, OKPKey | ECKey | RSAKey)]
