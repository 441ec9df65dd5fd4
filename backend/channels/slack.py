"""Messages to Slack: by chat.postMessage with a bot's token, or to an incoming webhook, whose URL is the way.

What belongs to one matter is one thread of the channel, and the post that begins it shows the latest of it
(https://docs.slack.dev/reference/methods/chat.update). A webhook answers with nothing that could be replied to.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from backend.channels import http_outcomes, slack_blocks, slack_presses, webhooks
from backend.channels.base import (
    Channel,
    ForgedReceipt,
    Message,
    Outcome,
    ProviderError,
    Receipt,
    ReceiptRequest,
    Scope,
)
from backend.channels.http_account import HttpAccount
from backend.channels.provider_address import base_address, host_port, parse, provider_name, required
from backend.channels.quoting import quoted
from backend.lib.outbound import Answer

_INTERVAL = 1.0  # seconds between two messages to one channel
_CONFIG = {
    *("not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired", "missing_scope"),
    *("no_permission", "not_allowed_token_type", "ekm_access_denied", "org_login_required", "access_denied"),
}
_RETRY = {"service_unavailable", "request_timeout", "team_added_to_org"}
_THROTTLED = {"ratelimited", "rate_limited"}
_UNKNOWN = {"fatal_error", "internal_error"}  # part of it may have happened
# A webhook that has these is switched off or deleted, and will not come back by itself.
_GONE = frozenset({"no_service", "no_service_id", "no_active_hooks", "no_team", "team_disabled", "invalid_token"})
# The post that a thread began with was deleted, or its channel has no threads: the next post begins another one.
_NO_THREAD = frozenset({"thread_not_found", "message_not_found", "invalid_thread_ts", "cannot_reply_to_message"})
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

    With the app's ``signing_secret`` its posts have a button where they are to be acknowledged: Slack signs with that
    what it tells of a press.

    Raises ``ValueError`` without a secret.
    """

    channel = Channel.SLACK

    def __init__(self, address: str, timeout: float = http_outcomes.TIMEOUT) -> None:
        parts = parse(address, {"scheme", "signing_secret"})
        token = required(parts.user, "a bot token")
        self._signing_secret = parts.options.get("signing_secret", "")
        secrets = (token, self._signing_secret) if self._signing_secret else (token,)
        self._account = HttpAccount(
            base=base_address(parts), authorization=f"Bearer {token}", secrets=secrets, timeout=timeout
        )
        self.name = provider_name("slack", host_port(parts.host, parts.port), token)

    def __repr__(self) -> str:
        return f"SlackProvider({self.name!r})"

    def open(self) -> "SlackConnection":
        """Return a connection for one thread."""
        return SlackConnection(self._account, self._account.timeout, has_buttons=bool(self._signing_secret))

    def describe(self) -> str:
        """Return one line for operators, without secrets."""
        return f"{self.name} with a bot token" + (" and buttons" if self._signing_secret else "")

    def press(self, request: ReceiptRequest) -> slack_presses.Press | None:
        """Verify what Slack tells of a button, and read it; none for a button that is not ours.

        Raises ``ForgedReceipt``, or ``ValueError`` for what cannot be read.
        """
        if not self._signing_secret:
            raise ForgedReceipt("the signing secret of the app is not set up")
        slack_presses.verify(request, self._signing_secret)
        return slack_presses.read(request)

    def edit(self, post: str, text: str, blocks: Sequence[Mapping[str, Any]]) -> None:
        """Let a post, as ``channel+ts``, show something else. Raises ``ProviderError``."""
        channel, _, ts = post.partition("+")
        self.open().update(channel, ts, {"text": text or "…", "blocks": list(blocks)})

    def answered(self, message: Message, sentence: str) -> tuple[str, Sequence[Mapping[str, Any]]]:
        """Return the text and blocks of a message's post with a sentence in place of its button, or link."""
        text, html = (message.text, message.html)
        if message.offered is not None:
            text, html = message.offered.text, message.offered.html
        blocks = slack_blocks.blocks(message.subject, text, html, beside=1)
        fallback = slack_blocks.fallback(message.subject, f"{text.rstrip()}\n\n✓ {sentence}")
        return fallback, [*msgspec.to_builtins(blocks), slack_presses.line(sentence)]

    def interval(self, address: str) -> float | None:  # noqa: ARG002 - all have the same
        """Return the second that Slack wants between two messages to one channel or webhook."""
        return _INTERVAL


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

    def interval(self, address: str) -> float | None:  # noqa: ARG002 - all have the same
        """Return the second that Slack wants between two messages to one webhook."""
        return _INTERVAL


class SlackConnection:
    """The way to Slack; its connections are those of the thread."""

    def __init__(self, account: HttpAccount | None, timeout: float, *, has_buttons: bool = False) -> None:
        self._account = account
        self._has_buttons = has_buttons
        self._timeout = timeout

    def send(self, message: Message) -> Receipt:
        """Post one message. Raises ``ProviderError``."""
        content: dict[str, Any] = {"text": slack_blocks.fallback(message.subject, message.text)}
        if blocks := self._blocks(message):
            content["blocks"] = blocks
        if "://" in message.address:
            return self._to_webhook(message.address, content)
        if self._account is None:
            raise ProviderError(
                Outcome.CONFIG, "a Slack channel needs a bot token: CARILLON_SLACK_PROVIDERS is not set"
            )
        if not message.address.isprintable():
            raise ProviderError(Outcome.PERMANENT, "the channel's name contains a control character")
        return self._to_thread(self._account, message, content)

    def close(self) -> None:
        """Do nothing: the connections belong to the thread."""

    def update(self, channel: str, ts: str, content: dict[str, Any]) -> None:
        """Let a post show something else. Raises ``ProviderError``."""
        if self._account is None:
            raise ProviderError(Outcome.CONFIG, "a post can be changed by its bot alone")
        self._call(self._account, "chat.update", {"channel": channel, "ts": ts, **content})

    def _blocks(self, message: Message) -> list[Any]:
        """Return the blocks of a message; who presses a button is told of by a bot's posts alone."""
        offered = message.offered
        if offered is None or not self._has_buttons or "://" in message.address:
            return list(slack_blocks.blocks(message.subject, message.text, message.html))
        blocks = slack_blocks.blocks(message.subject, offered.text, offered.html, beside=1)
        return [*blocks, slack_presses.button(offered)]

    def _to_thread(self, account: HttpAccount, message: Message, content: dict[str, Any]) -> Receipt:
        """Add to the thread of a matter and bring its first post up to date; else begin one."""
        channel, _, first = (message.thread or "").partition("+")
        if first:
            try:
                posted = self._post(account, message.address, content | {"thread_ts": first})
            except ProviderError as error:
                if error.code not in _NO_THREAD:
                    raise
            else:
                fault = self._bring_up_to_date(account, channel, first, content)
                detail = f"posted in its thread; {fault or 'its first post shows it too'}"
                return Receipt(posted.provider_message_id, detail, thread=message.thread)
        return self._post(account, message.address, content)

    def _bring_up_to_date(self, account: HttpAccount, channel: str, ts: str, content: dict[str, Any]) -> str | None:
        """Let the first post of a thread say the latest; the message is out whether that goes well or not."""
        try:
            self._call(account, "chat.update", {"channel": channel, "ts": ts, **content})
        except ProviderError as error:
            return f"its first post stays as it was ({error.detail})"
        return None

    def _post(self, account: HttpAccount, channel: str, content: dict[str, Any]) -> Receipt:
        silent = {"unfurl_links": False, "unfurl_media": False}
        read = self._call(account, "chat.postMessage", {"channel": channel, **content, **silent})
        identity = f"{read.channel}+{read.ts}"
        return Receipt(identity, "posted", thread=identity)

    def _call(self, account: HttpAccount, method: str, members: dict[str, Any]) -> _Answer:
        body = msgspec.json.encode(members)
        answer = account.call("POST", f"/api/{method}", body, "application/json; charset=utf-8")
        read = http_outcomes.decoded(answer, _Answer)
        if not http_outcomes.is_accepted(answer):
            raise _of_one_channel(http_outcomes.refused(answer, read.error if read else "", secrets=account.secrets))
        if read is None or (read.ok and not read.ts):
            raise http_outcomes.unreadable(answer)
        if not read.ok:
            raise _refused(answer, quoted(read.error or "unknown_error", account.secrets))
        return read

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
