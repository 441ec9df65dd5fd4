"""The OAuth 2.0 endpoints: tokens, their revocation and introspection, and what the server says about itself.

Errors have the shape that RFC 6749 §5.2 gives them, not that of the rest of the API.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from anyio import to_thread
from authlib.oauth2 import OAuth2Error
from litestar import MediaType, Request, Response, get, post
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from backend.accounts.faults import unavailable_without_database
from backend.accounts.oauth import answers, authorization_server, forms, metadata, signing_key, token_management
from backend.accounts.oauth.answers import OAuthAnswer
from backend.accounts.oauth.forms import FormRequest
from backend.accounts.oauth.metadata import ServerMetadata
from backend.api import errors
from backend.api import oauth_documents as documents
from backend.lib.http import network_address
from backend.lib.problems import Problem

_PUBLIC = {"Cache-Control": "public, max-age=300"}


def _on_problem(_request: Request[Any, Any, Any], problem: Problem) -> Response[dict[str, Any]]:
    # Of the codes that are registered for OAuth this one alone says: the same again later.
    error = "temporarily_unavailable" if problem.code in {"unavailable", "rate_limited"} else "server_error"
    body = {"error": error, "error_description": problem.detail}
    headers = answers.NO_STORE | problem.headers
    return Response(body, status_code=problem.entry.status, media_type=MediaType.JSON, headers=headers)


def _on_http_exception(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """Translate what the framework refuses before the form is read, such as a body that is too large."""
    sentences = {413: f"The body is larger than {forms.MAX_BYTES} bytes."}
    description = sentences.get(error.status_code, "The request cannot be read.")
    return _respond(answers.refusal(answers.invalid_request(description, error.status_code)))


_HANDLERS: ExceptionHandlersMap = {Problem: _on_problem, HTTPException: _on_http_exception}


async def _answer(
    request: Request[Any, Any, Any], endpoint: Callable[[FormRequest], OAuthAnswer]
) -> Response[dict[str, Any]]:
    headers = request.headers
    body = await request.body()
    try:
        address = network_address(request.client.host if request.client else None)
        received = forms.read(headers.get("content-type"), headers.get("authorization"), body, address)
    except OAuth2Error as error:
        return _respond(answers.refusal(error))
    return _respond(await to_thread.run_sync(_with_database, endpoint, received))


def _with_database(endpoint: Callable[[FormRequest], OAuthAnswer], received: FormRequest) -> OAuthAnswer:
    with unavailable_without_database():
        return endpoint(received)


def _respond(answer: OAuthAnswer) -> Response[dict[str, Any]]:
    return Response(answer.body, status_code=answer.status, media_type=MediaType.JSON, headers=answer.headers)


@post(
    "/oauth/token",
    status_code=200,
    opt=documents.form(documents.TokenRequest),
    responses=documents.answers(documents.TokenAnswer, "An access token"),
    exception_handlers=_HANDLERS,
    request_max_body_size=forms.MAX_BYTES,
    operation_id="issueToken",
    summary="Issue an access token",
    description="The client credentials grant of RFC 6749 §4.4; the token is a JWT (RFC 9068) for ten minutes.",
)
async def token(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """Issue an access token to a client."""
    return await _answer(request, authorization_server.token)


@post(
    "/oauth/revoke",
    status_code=200,
    opt=documents.form(documents.RevocationRequest),
    responses=documents.answers(documents.Nothing, "The token has no effect any more, if it had one"),
    exception_handlers=_HANDLERS,
    request_max_body_size=forms.MAX_BYTES,
    operation_id="revokeToken",
    summary="Revoke an access token",
    description="RFC 7009; an unknown or expired token is answered as one that was revoked.",
)
async def revoke(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """End an access token before its time."""
    return await _answer(request, token_management.revoke)


@post(
    "/oauth/introspect",
    status_code=200,
    opt=documents.form(documents.IntrospectionRequest),
    responses=documents.answers(documents.IntrospectionAnswer, "What the token stands for, if it is active"),
    exception_handlers=_HANDLERS,
    request_max_body_size=forms.MAX_BYTES,
    operation_id="introspectToken",
    summary="Describe an access token",
    description="RFC 7662; of a token that is not a live one of the asking client, only that it is not active.",
)
async def introspect(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """Describe an access token to its client."""
    return await _answer(request, token_management.introspect)


@get(
    "/.well-known/oauth-authorization-server",
    sync_to_thread=False,
    operation_id="getAuthorizationServer",
    summary="Describe the authorization server",
    description="Authorization server metadata (RFC 8414).",
    responses=errors.documented(400),
)
def server_metadata() -> Response[ServerMetadata]:
    """Describe the authorization server."""
    return Response(metadata.describe(), media_type=MediaType.JSON, headers=_PUBLIC)


@get(
    "/.well-known/jwks.json",
    sync_to_thread=True,
    operation_id="getSigningKeys",
    summary="List the keys that sign access tokens",
    description="A JWK Set (RFC 7517): the present key first, then those of other algorithms that tokens may have.",
    responses=errors.documented(400, 503),
)
def jwks() -> Response[documents.JwkSet]:
    """List the public keys."""
    with unavailable_without_database():
        keys = signing_key.public_jwks()
    return Response(msgspec.convert(keys, documents.JwkSet), media_type=MediaType.JSON, headers=_PUBLIC)


ROUTES = [token, revoke, introspect, server_metadata, jwks]
