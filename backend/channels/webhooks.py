"""Posting to addresses that are themselves the way: a webhook's URL, which a user gave and which is a secret."""

from urllib.parse import urlsplit

from backend.channels import http_outcomes
from backend.channels.base import Outcome, ProviderError, Scope
from backend.channels.quoting import quoted
from backend.lib.outbound import Answer

_UNFINISHED = {408: Outcome.RETRY, 425: Outcome.RETRY, 429: Outcome.THROTTLED}
_LOST = {502, 504}  # a gateway lost the answer of a server behind it, which may have taken the message


def post(url: str, body: bytes, timeout: float) -> Answer:
    """Post JSON and return the answer, whatever its status.

    Raises ``ProviderError``; what is wrong with one address says nothing of the others.
    """
    headers = {"Content-Type": "application/json", "User-Agent": "Carillon"}
    try:
        return http_outcomes.exchange("POST", url, headers=headers, body=body, timeout=timeout, guarded=True)
    except ProviderError as error:
        error.scope = Scope.RECIPIENT
        raise


def refused(answer: Answer, url: str, *, outcome: Outcome | None = None, bad_address: bool = False) -> ProviderError:
    """Return the error that an answer means: for good where the status is 4xx and ``outcome`` says nothing else."""
    found = outcome or _of_status(answer.status)
    parts = urlsplit(url)
    words = quoted(answer.body[:2000].decode("utf-8", "replace"), [url, parts.path, parts.query])[:200]
    return ProviderError(
        found,
        f"the webhook answered {answer.status}" + (f" {words}" if words else ""),
        code=str(answer.status),
        retry_after=http_outcomes.retry_after(answer) if found in {Outcome.THROTTLED, Outcome.RETRY} else None,
        bad_address=bad_address,
    )


def _of_status(status: int) -> Outcome:
    if status in _UNFINISHED:
        return _UNFINISHED[status]
    if status >= 500:
        return Outcome.AMBIGUOUS if status in _LOST else Outcome.RETRY
    return Outcome.PERMANENT
