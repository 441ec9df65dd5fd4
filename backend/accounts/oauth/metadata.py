"""What the authorization server says about itself (RFC 8414)."""

import msgspec

from backend.accounts.clients import ALL_SCOPES
from backend.accounts.oauth import authorization_server, client_authentication, signatures
from backend.lib import settings


class ServerMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """The members of RFC 8414 §2 that have a meaning here."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    revocation_endpoint: str
    introspection_endpoint: str
    scopes_supported: tuple[str, ...]
    response_types_supported: tuple[str, ...]
    grant_types_supported: tuple[str, ...]
    token_endpoint_auth_methods_supported: tuple[str, ...]
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...]
    revocation_endpoint_auth_methods_supported: tuple[str, ...]
    revocation_endpoint_auth_signing_alg_values_supported: tuple[str, ...]
    introspection_endpoint_auth_methods_supported: tuple[str, ...]
    introspection_endpoint_auth_signing_alg_values_supported: tuple[str, ...]
    service_documentation: str


def describe() -> ServerMetadata:
    """Describe this installation under its public address."""
    base_url = settings.current().base_url
    methods, algorithms = client_authentication.METHODS, signatures.ALGORITHMS
    return ServerMetadata(
        issuer=base_url,
        token_endpoint=f"{base_url}/oauth/token",
        jwks_uri=f"{base_url}/.well-known/jwks.json",
        revocation_endpoint=f"{base_url}/oauth/revoke",
        introspection_endpoint=f"{base_url}/oauth/introspect",
        scopes_supported=ALL_SCOPES,
        # The member is required and may not be empty, though nothing here has an authorization endpoint.
        response_types_supported=("none",),
        grant_types_supported=(authorization_server.GRANT_TYPE,),
        token_endpoint_auth_methods_supported=methods,
        token_endpoint_auth_signing_alg_values_supported=algorithms,
        revocation_endpoint_auth_methods_supported=methods,
        revocation_endpoint_auth_signing_alg_values_supported=algorithms,
        introspection_endpoint_auth_methods_supported=methods,
        introspection_endpoint_auth_signing_alg_values_supported=algorithms,
        service_documentation=f"{base_url}/docs",
    )
