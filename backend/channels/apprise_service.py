"""Messages to any service that the Apprise library knows, in a child process that guards what it may reach."""

from urllib.parse import unquote, urlsplit

from backend.channels.apprise_address import CHILDREN
from backend.channels.base import Channel, Message, Outcome, ProviderError, Receipt
from backend.channels.quoting import quoted
from backend.lib import logs, settings
from backend.lib.child import ChildFailed

_SECONDS = 30.0


class AppriseServices:
    """The services that the addresses name."""

    channel = Channel.APPRISE
    name = "apprise"

    def __init__(self, timeout: float = _SECONDS) -> None:
        self._timeout = timeout

    def open(self) -> "AppriseConnection":
        """Return a connection for one thread."""
        return AppriseConnection(self._timeout)

    def describe(self) -> str:
        """Return one line for operators, without secrets."""
        return "the services of the Apprise library that recipients name"


class AppriseConnection:
    """The way to the child processes."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    def send(self, message: Message) -> Receipt:
        """Send one message. The library tells no more than whether that worked. Raises ``ProviderError``."""
        question = {
            "url": message.address,
            "title": message.subject or "",
            "text": message.text,
            "html": message.html,
            "allow": list(settings.current().outbound_allow),
        }
        try:
            answer = CHILDREN.ask(question, self._timeout)
        except ChildFailed as error:
            if error.unheard:
                raise ProviderError(Outcome.RETRY, "the library could not be started") from None
            if error.timed_out:
                raise ProviderError(Outcome.AMBIGUOUS, "the service did not answer in time") from None
            raise ProviderError(Outcome.AMBIGUOUS, "the library stopped without an answer") from None
        detail = _without_secrets(answer.get("detail", ""), message.address)
        if answer["ok"]:
            return Receipt(None, f"taken by {answer['service']}")
        if answer.get("refused"):
            raise ProviderError(Outcome.PERMANENT, f"the address may not be used: {detail}")
        if answer.get("timed_out"):
            raise ProviderError(Outcome.AMBIGUOUS, f"the service did not answer in time: {detail}")
        raise ProviderError(Outcome.RETRY, detail or "the service did not take it, and the library does not say why")

    def close(self) -> None:
        """Do nothing: the processes end by themselves."""


def _without_secrets(text: str, address: str) -> str:
    """Quote the library without any part of the address but its scheme."""
    parts = urlsplit(address)
    words = {
        piece
        for piece in (parts.netloc + parts.path + "?" + parts.query)
        .replace("@", "/")
        .replace(":", "/")
        .replace("?", "/")
        .replace("&", "/")
        .replace("=", "/")
        .split("/")
        if len(piece) > 5
    }
    secrets = sorted({address, *words, *(unquote(word) for word in words)}, key=len, reverse=True)
    return logs.masked(quoted(text, secrets))
