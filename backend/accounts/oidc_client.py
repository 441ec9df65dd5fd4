"""How we prove to the OpenID provider who we are: as its metadata says (OpenID Connect Core 1.0, section 9)."""

import base64
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import quote_plus, urlencode

from backend.accounts.oauth import signatures, signing_key
from backend.accounts.oauth.client_assertions import ASSERTION_TYPE
from backend.lib import clock, ids

_ASSERTION_SECONDS = 60

Headers = MutableMapping[str, str]
# What Authlib calls with its client and a request; it returns the request's address, headers and body.
Method = Callable[[Any, str, str, Headers, bytes], tuple[str, Headers, bytes]]


def _basic(client: Any, _method: str, uri: str, headers: Headers, body: bytes) -> tuple[str, Headers, bytes]:
    """Send id and secret in Basic, each form-encoded first (RFC 6749 §2.3.1), which Authlib leaves out."""
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return uri, headers, body


def _post(client: Any, _method: str, uri: str, headers: Headers, body: bytes) -> tuple[str, Headers, bytes]:
    """Send id and secret in the form."""
    return uri, headers, _with(body, {"client_id": client.client_id, "client_secret": client.client_secret})


def _assertion(client: Any, _method: str, uri: str, headers: Headers, body: bytes) -> tuple[str, Headers, bytes]:
    """Send a JWT signed with our own key, whose public half the provider finds in our JWK Set (RFC 7523)."""
    now, key = int(clock.timestamp()), signing_key.current()
    claims = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": uri,
        "jti": ids.random_id().hex,
        "iat": now,
        "exp": now + _ASSERTION_SECONDS,
    }
    signed = signatures.sign({"alg": signing_key.algorithm(), "typ": "JWT", "kid": key.kid}, claims, key)
    added = {"client_id": client.client_id, "client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}
    return uri, headers, _with(body, added)


def _with(body: bytes, added: Mapping[str, str]) -> bytes:
    return b"&".join(part for part in (body, urlencode(added).encode()) if part)


_METHODS: dict[str, Method] = {
    "client_secret_basic": _basic,
    "client_secret_post": _post,
    "private_key_jwt": _assertion,
}


def method(metadata: Mapping[str, Any]) -> Method:
    """Return the first of our methods that the provider takes; Basic where it does not say (RFC 8414 §2).

    Raises:
        ValueError: if it takes none of them.
    """
    taken = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    found = next((name for name in _METHODS if name in taken), None)
    if found is None:
        raise ValueError(f"the provider takes none of {', '.join(_METHODS)} at its token endpoint")
    return _METHODS[found]
