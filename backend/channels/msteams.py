"""Messages to Microsoft Teams: an Adaptive Card to a Workflows webhook, whose URL is the way."""

from backend.channels import adaptive_card, http_outcomes, webhooks
from backend.channels.base import Channel, Message, Outcome, Receipt

_INTERVAL = 0.25  # seconds between two messages to one webhook; the limit that was documented for its predecessors
# The signature in the URL was revoked, or the flow is switched off or deleted: its owner has to see to it.
_OWNERS = {401, 403, 404}


class TeamsWebhooks:
    """The Workflows webhooks among the addresses."""

    channel = Channel.MSTEAMS
    name = "msteams-webhook"

    def __init__(self, timeout: float = http_outcomes.TIMEOUT) -> None:
        self._timeout = timeout

    def open(self) -> "TeamsConnection":
        """Return a connection for one thread."""
        return TeamsConnection(self._timeout)

    def describe(self) -> str:
        """Return one line for operators, without secrets."""
        return "the Teams webhooks that recipients name"

    def interval(self, address: str) -> float | None:  # noqa: ARG002 - all have the same
        """Return the seconds between two messages to one webhook."""
        return _INTERVAL


class TeamsConnection:
    """The way to webhooks; each message has a connection of its own."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    def send(self, message: Message) -> Receipt:
        """Post one message; what the flow makes of it later is not told. Raises ``ProviderError``."""
        card = _card(message)
        answer = webhooks.post(message.address, card, self._timeout)
        if not http_outcomes.is_accepted(answer):
            outcome = Outcome.CONFIG if answer.status in _OWNERS else None
            raise webhooks.refused(answer, message.address, outcome=outcome)
        return Receipt(answer.headers.get("x-ms-workflow-run-id") or None, "taken by the workflow")

    def close(self) -> None:
        """Do nothing: no connection is kept."""


def _card(message: Message) -> bytes:
    """Return the card of a message; what is to be acknowledged has a button that opens its link.

    A webhook cannot be told who pressed one: that takes a bot.
    """
    offered = message.offered
    if offered is None:
        return adaptive_card.body(_title(message), message.text, message.html)
    button = adaptive_card.open_url(offered.words, offered.url)
    return adaptive_card.body(_title(message), offered.text, offered.html, [button])


def _title(message: Message) -> str | None:
    """Return the title of a card: the first one of the matter, so that its cards are seen to belong together.

    A workflow tells nothing by which a card could be changed or replied to.
    """
    first, own = message.thread_subject, message.subject
    return f"{first} – {own}" if first and own and first != own else first or own
