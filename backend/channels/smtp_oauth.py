"""Access tokens for signing in to a mail server with XOAUTH2, as Microsoft 365 and Google want it (RFC 6749)."""

import threading
from time import monotonic
from urllib.parse import urlencode

import msgspec

from backend.channels import http_outcomes
from backend.channels.base import Outcome, ProviderError, Scope

_EARLY = 60.0  # seconds before its end from which on a token is not used any more
_LIFETIME = 300.0  # seconds of a token whose end is not told


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """How a token is asked for: with a refresh token if there is one, else with the client's own credentials."""

    endpoint: str
    client: str
    secret: str
    scope: str | None = None
    refresh: str | None = None

    def __repr__(self) -> str:
        return f"TokenRequest({self.endpoint!r})"

    def form(self) -> dict[str, str]:
        """Return the fields of the request (RFC 6749, sections 4.4.2 and 6)."""
        grant = {"grant_type": "refresh_token", "refresh_token": self.refresh} if self.refresh else {}
        scope = {"scope": self.scope} if self.scope else {}
        return {
            "grant_type": "client_credentials",
            **grant,
            **scope,
            "client_id": self.client,
            "client_secret": self.secret,
        }


class _Answer(msgspec.Struct, frozen=True):
    """What the endpoint says (RFC 6749, sections 5.1 and 5.2)."""

    access_token: str = ""
    expires_in: float | None = None
    refresh_token: str | None = None
    error: str = ""
    error_description: str = ""


class TokenSource:
    """The access token of one account, kept until shortly before its end; for all threads of a process."""

    def __init__(self, request: TokenRequest) -> None:
        self._request = request
        self._lock = threading.Lock()
        self._token, self._until = "", 0.0

    def __repr__(self) -> str:
        return f"TokenSource({self._request.endpoint!r})"

    def token(self, instead_of: str = "") -> str:
        """Return a token that is still good, and another than the one that was not taken.

        Raises ``ProviderError``.
        """
        with self._lock:
            if self._token == instead_of or monotonic() >= self._until:
                self._fetch()
            return self._token

    def _fetch(self) -> None:
        asked = self._request
        fields = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        body = urlencode(asked.form()).encode()
        try:
            answer = http_outcomes.exchange("POST", asked.endpoint, headers=fields, body=body)
        except ProviderError as fault:
            # Whether the request came is unknown, but no message went with it.
            raise _no_token(Outcome.RETRY, fault.detail) from None
        read = http_outcomes.decoded(answer, _Answer) or _Answer()
        secrets = [asked.secret, asked.refresh or ""]
        if not http_outcomes.is_accepted(answer):
            words = f"{read.error} {read.error_description}".strip()
            refusal = http_outcomes.refused(answer, words, secrets=secrets)
            # What is wrong with the client concerns every message, and no message alone.
            ours = refusal.outcome in {Outcome.CONFIG, Outcome.PERMANENT}
            raise _no_token(Outcome.CONFIG if ours else Outcome.RETRY, refusal.detail)
        if not (read.access_token and read.access_token.isascii() and read.access_token.isprintable()):
            raise _no_token(Outcome.CONFIG, "the answer holds no access token")
        self._token = read.access_token
        self._until = monotonic() + max(1.0, (read.expires_in or _LIFETIME) - _EARLY)
        if read.refresh_token and asked.refresh:
            self._request = msgspec.structs.replace(asked, refresh=read.refresh_token)


def _no_token(outcome: Outcome, detail: str) -> ProviderError:
    return ProviderError(outcome, f"there is no token to sign in with: {detail}", scope=Scope.ACCOUNT)
