"""The OAuth endpoints as the OpenAPI document describes them: forms, answers and errors."""

from typing import Annotated, Any, Literal

import msgspec
from litestar.openapi.datastructures import ResponseSpec

from backend.accounts.clients import ALL_SCOPES
from backend.accounts.oauth.client_assertions import ASSERTION_TYPE
from backend.accounts.oauth.forms import MEDIA_TYPE

_Text = str | msgspec.UnsetType


class ClientForm(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: ``client_id`` and ``client_secret``, an assertion, or the Authorization header in their place."""

    client_id: Annotated[_Text, msgspec.Meta(description="The client, unless the Authorization header names it.")] = (
        msgspec.UNSET
    )
    client_secret: Annotated[_Text, msgspec.Meta(description="Its secret, for client_secret_post.")] = msgspec.UNSET
    client_assertion_type: Annotated[
        _Text,
        msgspec.Meta(
            description="The kind of assertion, for private_key_jwt.", extra_json_schema={"enum": [ASSERTION_TYPE]}
        ),
    ] = msgspec.UNSET
    client_assertion: Annotated[
        _Text, msgspec.Meta(description="A JWT signed with the client's key, for private_key_jwt.")
    ] = msgspec.UNSET

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class TokenRequest(ClientForm, frozen=True, kw_only=True):
    """The form of the token endpoint (RFC 6749 §4.4.2)."""

    grant_type: Annotated[Literal["client_credentials"], msgspec.Meta(description="The only grant there is.")]
    scope: Annotated[
        _Text,
        msgspec.Meta(
            description=f"Scopes with spaces between; all of the client's if left out. Known: {', '.join(ALL_SCOPES)}."
        ),
    ] = msgspec.UNSET


class RevocationRequest(ClientForm, frozen=True, kw_only=True):
    """The form of the revocation endpoint (RFC 7009 §2.1)."""

    token: Annotated[str, msgspec.Meta(description="The access token.")]
    token_type_hint: Annotated[_Text, msgspec.Meta(description="Not needed: there is one type of token.")] = (
        msgspec.UNSET
    )


class IntrospectionRequest(RevocationRequest, frozen=True, kw_only=True):
    """The form of the introspection endpoint (RFC 7662 §2.1)."""


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


def form(model: type[ClientForm]) -> dict[str, Any]:
    """Name the form that a handler reads itself, for ``opt``."""
    return {"body": model, "body_media_type": MEDIA_TYPE}


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
