"""The authorization server: access tokens for API clients by the client credentials grant (RFC 6749 §4.4)."""

from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2 import AuthorizationServer as AuthlibServer
from authlib.oauth2 import OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import ClientMixin, InvalidScopeError
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from backend.accounts.oauth import access_tokens, client_authentication
from backend.accounts.oauth.answers import OAuthAnswer, invalid_request, refusal, success
from backend.accounts.oauth.forms import FormRequest
from backend.db.models.accounts import ApiClient
from backend.lib import settings

GRANT_TYPE = "client_credentials"


class _Request(OAuth2Request):  # type: ignore[misc] # Authlib ships no types
    """A form as Authlib reads it; its address is the public one, whatever a proxy made of it."""

    def __init__(self, request: FormRequest) -> None:
        # TLS ends where the operator ends it; Authlib would refuse the plain http of a trial on one machine.
        public = urlsplit(settings.current().base_url)._replace(scheme="https").geturl()
        super().__init__("POST", f"{public}/oauth/token")
        self.payload = BasicOAuth2Payload(request.form)
        self.received = request

    @property
    def form(self) -> dict[str, str]:
        return self.received.form

    @property
    def args(self) -> dict[str, str]:
        return {}


class _Client(ClientMixin):  # type: ignore[misc] # Authlib ships no types
    """An API client as Authlib asks about it."""

    def __init__(self, row: ApiClient) -> None:
        self.row = row

    def __repr__(self) -> str:
        return f"Client({self.row.client_id!r})"

    def get_client_id(self) -> str:
        return self.row.client_id

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == GRANT_TYPE

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """Return the scopes asked for, or all of the client's; None if one is not the client's (RFC 6749 §3.3)."""
        granted = self.row.scopes.split()
        wanted = set(scope.split()) if scope else set(granted)
        if not wanted or not wanted.issubset(granted):
            return None
        return " ".join(name for name in granted if name in wanted)


class _Server(AuthlibServer):  # type: ignore[misc] # Authlib ships no types
    """Authlib's server with our clients, our tokens and our answers."""

    def authenticate_client(self, request: _Request, _methods: list[str], _endpoint: str = "token") -> _Client:
        return _Client(client_authentication.authenticate(request.received))

    def create_oauth2_request(self, request: FormRequest) -> _Request:
        return _Request(request)

    def save_token(self, token: dict[str, Any], request: _Request) -> None:
        """Keep nothing: a token carries what is needed, and only its revocation is stored."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Tell nobody."""

    def handle_response(self, status: int, body: dict[str, Any], _headers: object) -> OAuthAnswer:
        if status != 200:
            raise ValueError("The token grant answers 200, or raises.")
        return success(body)

    def handle_error_response(self, _request: _Request, error: OAuth2Error) -> OAuthAnswer:
        return refusal(error)


def _generate(client: _Client, scope: str | None = None, **_others: object) -> dict[str, Any]:
    allowed = client.get_allowed_scope(scope)
    if allowed is None:
        raise InvalidScopeError
    return {
        "access_token": access_tokens.issue(client.get_client_id(), allowed),
        "token_type": "Bearer",
        "expires_in": access_tokens.LIFETIME_SECONDS,
        "scope": allowed,
    }


def _build() -> _Server:
    server = _Server()
    server.register_grant(ClientCredentialsGrant)
    server.register_token_generator("default", _generate)
    return server


_server = _build()


def token(request: FormRequest) -> OAuthAnswer:
    """Answer a request to the token endpoint."""
    if "grant_type" not in request.form:
        return refusal(invalid_request("The parameter grant_type is missing."))
    answer = _server.create_token_response(request)
    if not isinstance(answer, OAuthAnswer):
        raise TypeError("The authorization server gave no answer.")
    return answer
