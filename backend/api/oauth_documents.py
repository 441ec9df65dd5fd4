"""The OAuth endpoints as the OpenAPI document describes them: forms, answers and errors."""

from dataclasses import dataclass
from typing import Literal

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema

from backend.accounts.clients import ALL_SCOPES
from backend.accounts.oauth.client_assertions import ASSERTION_TYPE
from backend.accounts.oauth.forms import MEDIA_TYPE


class TokenAnswer(msgspec.Struct, frozen=True):
    """RFC 6749 §5.1; ``expires_in`` is in seconds."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str


class Nothing(msgspec.Struct, frozen=True):
    """An empty object."""


class IntrospectionAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 7662 §2.2; times are in seconds since the epoch. A token that is not active has the first member only."""

    active: bool
    scope: str | msgspec.UnsetType = msgspec.UNSET
    client_id: str | msgspec.UnsetType = msgspec.UNSET
    token_type: str | msgspec.UnsetType = msgspec.UNSET
    exp: int | msgspec.UnsetType = msgspec.UNSET
    iat: int | msgspec.UnsetType = msgspec.UNSET
    sub: str | msgspec.UnsetType = msgspec.UNSET
    aud: str | msgspec.UnsetType = msgspec.UNSET
    iss: str | msgspec.UnsetType = msgspec.UNSET
    jti: str | msgspec.UnsetType = msgspec.UNSET


class OAuthError(msgspec.Struct, frozen=True):
    """RFC 6749 §5.2."""

    error: Literal[
        "invalid_request",
        "invalid_client",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "temporarily_unavailable",
        "server_error",
    ]
    error_description: str | msgspec.UnsetType = msgspec.UNSET


class PublicKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 7517 §4 and RFC 7518 §6: ``crv``, ``x`` and ``y`` of an elliptic curve, ``n`` and ``e`` of RSA."""

    kty: str
    kid: str
    use: str
    alg: str
    crv: str = ""
    x: str = ""
    y: str = ""
    n: str = ""
    e: str = ""


class JwkSet(msgspec.Struct, frozen=True):
    """RFC 7517 §5."""

    keys: list[PublicKey]


def answers(success: type[msgspec.Struct], description: str) -> dict[int, ResponseSpec]:
    """Describe every answer of an endpoint that reads a form."""
    sentences = {
        400: "The request cannot be read, or asks for what there is not",
        401: "The client did not prove who it is",
        413: "The body is larger than 16 KiB",
        429: "The client failed too often to prove who it is; Retry-After says for how many seconds to wait",
        503: "Temporarily unavailable",
    }
    errors = {
        status: ResponseSpec(data_container=OAuthError, description=sentence, generate_examples=False)
        for status, sentence in sentences.items()
    }
    return {200: ResponseSpec(data_container=success, description=description, generate_examples=False), **errors}


def _text(description: str, **constraints: object) -> Schema:
    return Schema(type=OpenAPIType.STRING, description=description, **constraints)  # type: ignore[arg-type] # by name


_CLIENT = {
    "client_id": _text("The client, unless the Authorization header names it."),
    "client_secret": _text("Its secret, for client_secret_post."),
    "client_assertion_type": _text("The kind of assertion, for private_key_jwt.", enum=[ASSERTION_TYPE]),
    "client_assertion": _text("A JWT signed with the client's key, for private_key_jwt."),
}
_TOKEN = {"token": _text("The access token."), "token_type_hint": _text("Not needed: there is one type of token.")}


def _form(required: str, own: dict[str, Schema]) -> RequestBody:
    members = {**own, **_CLIENT}
    schema = Schema(type=OpenAPIType.OBJECT, required=[required], properties=dict(members))
    return RequestBody(required=True, content={MEDIA_TYPE: OpenAPIMediaType(schema=schema)})


@dataclass
class TokenOperation(Operation):
    """The form of the token endpoint, which its handler reads itself."""

    def __post_init__(self) -> None:
        """Describe the form."""
        grant = _text("The only grant there is.", enum=["client_credentials"])
        scope = _text(f"Scopes with spaces between; all of the client's if left out. Known: {', '.join(ALL_SCOPES)}.")
        self.request_body = _form("grant_type", {"grant_type": grant, "scope": scope})


@dataclass
class RevocationOperation(Operation):
    """The form of the revocation endpoint, which its handler reads itself."""

    def __post_init__(self) -> None:
        """Describe the form."""
        self.request_body = _form("token", _TOKEN)


@dataclass
class IntrospectionOperation(Operation):
    """The form of the introspection endpoint, which its handler reads itself."""

    def __post_init__(self) -> None:
        """Describe the form."""
        self.request_body = _form("token", _TOKEN)
