"""Examples of tokens for the OpenAPI document."""

from typing import Any

_CLIENT_ID = "lims-4f9d2c"
_TOKEN = "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.…"  # noqa: S105 - no token: how one begins
EXAMPLES: dict[str, Any] = {
    "AccessToken": {
        "access_token": _TOKEN,
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "notifications:send notifications:read",
    },
    "RevocationRequest": {"token": _TOKEN, "client_id": _CLIENT_ID, "client_secret": "…"},
    "ServerMetadata": {
        "issuer": "https://carillon.lab.example",
        "token_endpoint": "https://carillon.lab.example/oauth/token",
        "jwks_uri": "https://carillon.lab.example/.well-known/jwks.json",
        "revocation_endpoint": "https://carillon.lab.example/oauth/revoke",
        "introspection_endpoint": "https://carillon.lab.example/oauth/introspect",
        "scopes_supported": ["notifications:send", "notifications:read"],
        "response_types_supported": ["none"],
        "grant_types_supported": ["client_credentials"],
        **{
            f"{endpoint}_endpoint_auth_{name}_supported": values
            for endpoint in ("token", "revocation", "introspection")
            for name, values in (
                ("methods", ["client_secret_basic", "client_secret_post", "private_key_jwt"]),
                ("signing_alg_values", ["ES256", "EdDSA", "RS256"]),
            )
        },
        "service_documentation": "https://carillon.lab.example/docs",
    },
    "IntrospectionRequest": {"token": _TOKEN, "client_id": _CLIENT_ID, "client_secret": "…"},
    "JsonWebKeySet": {
        "keys": [
            {
                "kty": "OKP",
                "kid": "TXpZT8BHPYWC",
                "use": "sig",
                "alg": "EdDSA",
                "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            }
        ]
    },
    "OAuthError 400": {"error": "invalid_scope", "error_description": "This client has no scope 'registry:write'."},
    "OAuthError 401": {
        "error": "invalid_client",
        "error_description": "Client authentication failed.",
    },
    "OAuthError 413": {"error": "invalid_request", "error_description": "The body is larger than 16384 bytes."},
    "OAuthError 429": {"error": "temporarily_unavailable", "error_description": "Too many failed attempts."},
    "OAuthError 503": {"error": "temporarily_unavailable", "error_description": "The database does not answer."},
    "TokenIntrospection": {
        "active": True,
        "scope": "notifications:send",
        "client_id": _CLIENT_ID,
        "token_type": "Bearer",
        "exp": 1795426800,
        "iat": 1795426200,
        "sub": _CLIENT_ID,
        "aud": "https://carillon.lab.example",
        "iss": "https://carillon.lab.example",
        "jti": "Qm9y3kq1",
    },
    "TokenRequest": {"grant_type": "client_credentials", "client_id": _CLIENT_ID, "client_secret": "…"},
}
