"""Access tokens for signing in to a mail server with XOAUTH2, as Microsoft 365 and Google want it (RFC 6749)."""

import threading
from time import monotonic
from urllib.parse import urlencode

import msgspec

from backend.channels import http_outcomes
from backend.channels.base import Outcome, ProviderError, Scope
from backend.lib import backoff

_EARLY = 60.0  # seconds before its end from which on a token is to be replaced
_MARGIN = 10.0  # seconds before its end from which on a token is not used any more
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 300.0  # seconds after a failure, doubling
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


class _Failure(msgspec.Struct, frozen=True):
    """The last request that gave no token: what is said of it, and until when nobody asks again."""

    error: ProviderError
    until: float
    pause: float


class TokenSource:
    """The access token of one account, kept until shortly before its end; for all threads of a process.

    One thread at a time asks for a new one. The others wait for it only if they have none to use: one that is about
    to end serves until then. After a failure nobody asks for a while, which grows with each further one.
    """

    def __init__(self, request: TokenRequest) -> None:
        self._request = request
        self._changed = threading.Condition()
        self._lock = False
        self._token, self._fresh_until, self._usable_until = "", 0.0, 0.0
        self._failure: _Failure | None = None

    def __repr__(self) -> str:
        return f"TokenSource({self._request.endpoint!r})"

    def token(self, instead_of: str = "") -> str:
        """Return a token that is still good, and another than the one that was not taken.

        Raises ``ProviderError``.
        """
        with self._changed:
            asked_by_other = False
            while True:
                usable = self._token != instead_of and monotonic() < self._usable_until
                if usable and (self._lock or self._is_paused() or monotonic() < self._fresh_until):
                    return self._token
                if self._failure is not None and (asked_by_other or self._is_paused()):
                    raise _again(self._failure)
                if not self._lock:
                    break
                asked_by_other = self._changed.wait()
            self._lock = True
            spare = self._token if usable else ""
        return self._renewed(spare)

    def _is_paused(self) -> bool:
        return self._failure is not None and monotonic() < self._failure.until

    def _renewed(self, spare: str) -> str:
        """Ask for a token, with the lock let go; without one a ``spare`` token will do, if there is one."""
        try:
            token, lifetime, refresh = _fetched(self._request)
        except ProviderError as error:
            with self._changed:
                pause = backoff.doubled(self._failure.pause, 1, _LONGEST_PAUSE) if self._failure else _FIRST_PAUSE
                pause = max(pause, min(error.retry_after or 0.0, _LONGEST_PAUSE))
                self._failure = _Failure(error, monotonic() + pause, pause)
                told = _again(self._failure)
            if spare:
                return spare
            raise told from error
        else:
            with self._changed:
                self._token, self._failure = token, None
                self._fresh_until = monotonic() + max(1.0, lifetime - _EARLY)
                self._usable_until = monotonic() + max(1.0, lifetime - _MARGIN)
                if refresh and self._request.refresh:
                    self._request = msgspec.structs.replace(self._request, refresh=refresh)
            return token
        finally:
            with self._changed:
                self._lock = False
                self._changed.notify_all()


def _again(failure: _Failure) -> ProviderError:
    """Say what was said, to each message an error of its own; for how long to ask for no token is our own matter."""
    return ProviderError(failure.error.outcome, failure.error.detail, scope=failure.error.scope)


def _fetched(asked: TokenRequest) -> tuple[str, float, str | None]:
    """Return a new token, for how many seconds it is good, and the refresh token that replaces the one used.

    Raises ``ProviderError``.
    """
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
        raise _no_token(Outcome.CONFIG if ours else Outcome.RETRY, refusal.detail, refusal.retry_after)
    if not (read.access_token and read.access_token.isascii() and read.access_token.isprintable()):
        raise _no_token(Outcome.CONFIG, "the answer holds no access token")
    return read.access_token, read.expires_in or _LIFETIME, read.refresh_token


def _no_token(outcome: Outcome, detail: str, retry_after: float | None = None) -> ProviderError:
    told = f"there is no token to sign in with: {detail}"
    return ProviderError(outcome, told, retry_after=retry_after, scope=Scope.ACCOUNT)
