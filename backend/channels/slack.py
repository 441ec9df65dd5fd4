"""Messages to Slack: by chat.postMessage with a bot's token, or to an incoming webhook, whose URL is the way."""

from typing import Any

import msgspec

from backend.channels import http_outcomes, slack_blocks, webhooks
from backend.channels.base import Channel, Message, Outcome, ProviderError, Receipt, Scope
from backend.channels.http_account import HttpAccount
from backend.channels.provider_address import base_address, parse, place, provider_name, required
from backend.channels.quoting import quoted
from backend.lib.outbound import Answer

_PACE = 1.0  # seconds between two messages to one channel
_CONFIG = {
    *("not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired", "missing_scope"),
    *("no_permission", "not_allowed_token_type", "ekm_access_denied", "org_login_required", "access_denied"),
}
_RETRY = {"service_unavailable", "request_timeout", "team_added_to_org"}
_THROTTLED = {"ratelimited", "rate_limited"}
_UNKNOWN = {"fatal_error", "internal_error"}  # part of it may have happened
# A webhook that has these is switched off or deleted, and will not come back by itself.
_GONE = frozenset({"no_service", "no_service_id", "no_active_hooks", "no_team", "team_disabled", "invalid_token"})
_OUTCOMES = {
    **dict.fromkeys(_CONFIG, Outcome.CONFIG),
    **dict.fromkeys(_RETRY, Outcome.RETRY),
    **dict.fromkeys(_THROTTLED, Outcome.THROTTLED),
    **dict.fromkeys(_UNKNOWN, Outcome.AMBIGUOUS),
}


class _Answer(msgspec.Struct):
    """What chat.postMessage answers, always with status 200."""

    ok: bool
    error: str = ""
    channel: str = ""
    ts: str = ""


class SlackProvider:
    """A bot, given as ``slack://TOKEN@slack.com``; webhooks among the addresses are posted to without its token.

    Raises ``ValueError`` without a secret.
    """

    channel = Channel.SLACK

    def __init__(self, address: str, timeout: float = http_outcomes.TIMEOUT) -> None:
        parts = parse(address, {"scheme"})
        token = required(parts.user, "a bot token")
        self._account = HttpAccount(
            base=base_address(parts), authorization=f"Bearer {token}", secrets=(token,), timeout=timeout
        )
        self.name = provider_name("slack", place(parts.host, parts.port), token)

    def __repr__(self) -> str:
        return f"SlackProvider({self.name!r})"

    def open(self) -> "SlackConnection":
        """Return a connection for one thread."""
        return SlackConnection(self._account, self._account.timeout)

    def describe(self) -> str:
        """Return one line for operators, without secrets."""
        return f"{self.name} with a bot token"

    def pace(self, address: str) -> float | None:  # noqa: ARG002 - all have the same
        """Return the second that Slack wants between two messages to one channel or webhook."""
        return _PACE


class SlackWebhooks:
    """The incoming webhooks among the addresses, where there is no bot."""

    channel = Channel.SLACK
    name = "slack-webhook"

    def __init__(self, timeout: float = http_outcomes.TIMEOUT) -> None:
        self._timeout = timeout

    def open(self) -> "SlackConnection":
        """Return a connection for one thread."""
        return SlackConnection(None, self._timeout)

    def describe(self) -> str:
        """Return one line for operators, without secrets."""
        return "the incoming webhooks that recipients name"

    def pace(self, address: str) -> float | None:  # noqa: ARG002 - all have the same
        """Return the second that Slack wants between two messages to one webhook."""
        return _PACE


class SlackConnection:
    """The way to Slack; its connections are those of the thread."""

    def __init__(self, account: HttpAccount | None, timeout: float) -> None:
        self._account = account
        self._timeout = timeout

    def send(self, message: Message) -> Receipt:
        """Post one message. Raises ``ProviderError``."""
        content: dict[str, Any] = {"text": slack_blocks.fallback(message.subject, message.text)}
        if blocks := slack_blocks.blocks(message.subject, message.text, message.html):
            content["blocks"] = blocks
        if "://" in message.address:
            return self._to_webhook(message.address, content)
        if self._account is None:
            raise ProviderError(
                Outcome.CONFIG, "a Slack channel needs a bot token: CARILLON_SLACK_PROVIDERS is not set"
            )
        if not message.address.isprintable():
            raise ProviderError(Outcome.PERMANENT, "the channel's name contains a control character")
        return self._to_channel(self._account, message.address, content)

    def close(self) -> None:
        """Do nothing: the connections belong to the thread."""

    def _to_channel(self, account: HttpAccount, channel: str, content: dict[str, Any]) -> Receipt:
        body = msgspec.json.encode({"channel": channel, **content, "unfurl_links": False, "unfurl_media": False})
        answer = account.call("POST", "/api/chat.postMessage", body, "application/json; charset=utf-8")
        read = http_outcomes.decoded(answer, _Answer)
        if not http_outcomes.is_accepted(answer):
            raise _of_one_channel(http_outcomes.refused(answer, read.error if read else "", secrets=account.secrets))
        if read is None or (read.ok and not read.ts):
            raise http_outcomes.unreadable(answer)
        if not read.ok:
            raise _refused(answer, quoted(read.error or "unknown_error", account.secrets))
        return Receipt(f"{read.channel}+{read.ts}", "posted")

    def _to_webhook(self, url: str, content: dict[str, Any]) -> Receipt:
        answer = webhooks.post(url, msgspec.json.encode(content), self._timeout)
        words = answer.body[:100].decode("utf-8", "replace").strip()
        if not http_outcomes.is_accepted(answer):
            raise webhooks.refused(answer, url, bad_address=words in _GONE)
        if words != "ok":
            raise http_outcomes.unreadable(answer)
        return Receipt(None, "posted")


# Slack counts by channel, so a throttled one says nothing of the others.
_SCOPES = {Outcome.CONFIG: Scope.ACCOUNT, Outcome.RETRY: Scope.SERVER}


def _refused(answer: Answer, error: str) -> ProviderError:
    outcome = _OUTCOMES.get(error, Outcome.PERMANENT)
    return ProviderError(
        outcome,
        f"Slack answered {error}",
        code=error,
        retry_after=http_outcomes.retry_after(answer) if outcome in {Outcome.THROTTLED, Outcome.RETRY} else None,
        scope=_SCOPES.get(outcome, Scope.RECIPIENT),
    )


def _of_one_channel(error: ProviderError) -> ProviderError:
    """Slack counts by channel: what throttles one says nothing of the others."""
    if error.outcome is Outcome.THROTTLED:
        error.scope = Scope.RECIPIENT
    return error
