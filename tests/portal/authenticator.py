"""An authenticator in software: makes a passkey (WebAuthn, level 3, attestation "none") and signs with it."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64encode
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

_PRESENT, _ATTESTED = 0x01, 0x40


class Authenticator:
    """One passkey for one origin, as a browser there would use it; ``count`` is what it has counted."""

    def __init__(self, origin: str, host: str) -> None:
        self.origin, self.host, self.count = origin, host, 0
        self.id = secrets.token_bytes(32)
        self._key = ec.generate_private_key(ec.SECP256R1())

    def made(self, options: str, *, form: str = "none", statement: object = None, without_key: bool = False) -> str:
        """Answer to what a page asks for a new one; or as no browser would, in another form or without a key."""
        numbers = self._key.public_key().public_numbers()
        key = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        told = bytes(16) + len(self.id).to_bytes(2) + self.id + cbor2.dumps({} if without_key else key)
        attested = {"fmt": form, "attStmt": statement or {}, "authData": self._data(_PRESENT | _ATTESTED) + told}
        client = self._client("webauthn.create", options)
        return self._answer({"clientDataJSON": client, "attestationObject": cbor2.dumps(attested)})

    def signed(self, options: str) -> str:
        """Answer to what the sign-in page asks."""
        self.count += 1
        client, data = self._client("webauthn.get", options), self._data(_PRESENT)
        signature = self._key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._answer({"clientDataJSON": client, "authenticatorData": data, "signature": signature})

    def _client(self, kind: str, options: str) -> bytes:
        asked = json.loads(options)
        return json.dumps({"type": kind, "challenge": asked["challenge"], "origin": self.origin}).encode()

    def _data(self, flags: int) -> bytes:
        return hashlib.sha256(self.host.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)

    def _answer(self, response: dict[str, bytes]) -> str:
        own: dict[str, Any] = {"id": _text(self.id), "rawId": _text(self.id), "type": "public-key"}
        return json.dumps({**own, "response": {name: _text(value) for name, value in response.items()}})


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")
