"""Exchanges with providers over HTTP, and what their answers mean for a delivery.

The meaning of a status is the same for all (RFC 9110); a provider's own codes come before it.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import TypeVar

import msgspec

from backend.channels.base import Outcome, ProviderError, Scope
from backend.channels.quoting import quoted
from backend.lib import backoff, outbound
from backend.lib.outbound import Answer, OutboundError

T = TypeVar("T")

TIMEOUT = 30.0  # seconds for a whole exchange; giving up early makes outcomes unknown
_LONGEST_PAUSE = timedelta(hours=1)  # what asks for more is looked at again after this
_BY_STATUS = {
    401: Outcome.CONFIG,
    403: Outcome.CONFIG,
    408: Outcome.RETRY,
    425: Outcome.RETRY,
    429: Outcome.THROTTLED,
    # A gateway lost the answer of a server behind it, which may have taken the message.
    502: Outcome.AMBIGUOUS,
    504: Outcome.AMBIGUOUS,
}


class Codes(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider's own codes mean, where they say more than the status.

    ``bad_addresses`` are those of an address that will never take a message; ``one_address`` those of ``CONFIG`` and
    ``THROTTLED`` that concern the address alone, so that others can still be sent to.
    """

    outcomes: Mapping[str, Outcome]
    bad_addresses: AbstractSet[str] = frozenset()
    one_address: AbstractSet[str] = frozenset()


_NO_CODES = Codes(outcomes={})


def exchange(  # noqa: PLR0913 - a request has so many parts
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout: float = TIMEOUT,
    guarded: bool = False,
) -> Answer:
    """Make one request and return the answer, whatever its status.

    ``guarded`` is for addresses that users gave. Raises ``ProviderError``: to be tried again if nothing was sent, of
    unknown outcome if no whole answer came after that.
    """
    try:
        return outbound.request(method, url, headers=headers, body=body, timeout=timeout, guarded=guarded)
    except outbound.RefusedAddress as fault:
        raise ProviderError(Outcome.PERMANENT, fault.reason) from None
    except OutboundError as fault:
        outcome = Outcome.RETRY if fault.nothing_sent else Outcome.AMBIGUOUS
        raise ProviderError(outcome, quoted(fault.reason), scope=Scope.SERVER) from None


def is_accepted(answer: Answer) -> bool:
    """Tell whether the status is one of success."""
    return 200 <= answer.status < 300


def refused(
    answer: Answer,
    words: str = "",
    *,
    code: str | None = None,
    codes: Codes = _NO_CODES,
    secrets: Iterable[str] = (),
) -> ProviderError:
    """Return the error that an answer means.

    ``words`` are the provider's, ``code`` is its own; ``codes`` says what its codes come to.
    """
    code = code or str(answer.status)
    outcome = codes.outcomes.get(code) or _of_status(answer.status)
    said = " ".join(dict.fromkeys(part for part in (str(answer.status), code, quoted(words, secrets)) if part))
    return ProviderError(
        outcome,
        f"the provider answered {said}",
        code=code,
        retry_after=retry_after(answer) if outcome in {Outcome.THROTTLED, Outcome.RETRY} else None,
        scope=_scope(answer.status, outcome, one_address=code in codes.one_address),
        bad_address=code in codes.bad_addresses,
    )


def _scope(status: int, outcome: Outcome, *, one_address: bool) -> Scope:
    if outcome is Outcome.PERMANENT:
        return Scope.MESSAGE
    if one_address:
        return Scope.RECIPIENT
    if outcome in {Outcome.CONFIG, Outcome.THROTTLED}:
        return Scope.ACCOUNT
    return Scope.SERVER if status >= 500 else Scope.MESSAGE


def unreadable(answer: Answer) -> ProviderError:
    """Return the error for an answer of success that does not read as the provider's: nobody knows what it did."""
    return ProviderError(
        Outcome.AMBIGUOUS,
        f"the provider answered {answer.status} with something that is not its acceptance",
        code=str(answer.status),
    )


def _of_status(status: int) -> Outcome:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return Outcome.RETRY
    # A redirection is no answer of an interface: the address in the settings is not its place.
    return Outcome.PERMANENT if status >= 400 else Outcome.CONFIG


def retry_after(answer: Answer) -> float | None:
    """Return the pause that an answer asks for, in seconds up to an hour; None if it names none that can be read.

    Some name it in ``X-RateLimit-Reset``, where they say that there were too many.
    """
    asked = backoff.retry_after(answer.headers.get("retry-after"), _LONGEST_PAUSE)
    if asked is None and answer.status == 429:
        asked = backoff.retry_after(answer.headers.get("x-ratelimit-reset"), _LONGEST_PAUSE)
    return None if asked is None else asked.total_seconds()


def decoded(answer: Answer, shape: type[T]) -> T | None:
    """Read the body as JSON of a shape; None if it is anything else."""
    try:
        return msgspec.json.decode(answer.body, type=shape, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
