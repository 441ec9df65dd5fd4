"""What a channel is: the message that goes out, the receipt that comes back, and how sending can fail."""

import enum
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from backend.channels.attachments import Attachment


class Channel(enum.StrEnum):
    """The ways on which a message can reach somebody; the value is also the type of an endpoint."""

    EMAIL = "EMAIL"
    SLACK = "SLACK"
    FRESHSERVICE = "FRESHSERVICE"
    MSTEAMS = "MSTEAMS"
    SMS = "SMS"
    LETTER = "LETTER"
    APPRISE = "APPRISE"


# The same words for the shapes of requests: a type has to be written out.
ChannelName = Literal["EMAIL", "SLACK", "FRESHSERVICE", "MSTEAMS", "SMS", "LETTER", "APPRISE"]


class Outcome(enum.StrEnum):
    """What one attempt to send came to, in terms of what to do next."""

    ACCEPTED = "accepted"  # the provider has taken responsibility for the message
    PERMANENT = "permanent"  # this message to this address will never be taken: do not try again
    RETRY = "retry"  # nothing was taken; the same attempt may succeed later
    THROTTLED = "throttled"  # nothing was taken because we send too much; slow down, then try again
    CONFIG = "config"  # our account or set-up is at fault: keep the work and tell an operator
    AMBIGUOUS = "ambiguous"  # the provider may have taken it: the connection was lost before its answer


class Scope(enum.StrEnum):
    """What a refusal is about, from the narrowest to the widest; what follows from it concerns that alone."""

    MESSAGE = "this message"
    RECIPIENT = "this recipient"
    SESSION = "this session"
    SENDER = "this sender"
    DOMAIN = "this recipient's domain"
    ACCOUNT = "our account"
    SERVER = "the server"


# Within these nothing else can be sent over the connection now, so the rest of the work need not be tried on it.
WHOLE_ROUTE = frozenset({Scope.ACCOUNT, Scope.SERVER})


class OfferedLink(msgspec.Struct, frozen=True):
    """The link by which a message is acknowledged, for channels that have buttons.

    ``text`` and ``html`` are the message without that link at its end.
    """

    url: str
    words: str
    text: str
    html: str | None

    @property
    def token(self) -> str:
        """Return what makes the link this message's."""
        return self.url.rpartition("/")[2]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One rendered message to one address, ready for a provider.

    ``delivery_id`` is a UUID as text. ``sender`` is the From address, ``a@b`` or ``Name <a@b>``.
    ``message_id`` is a whole RFC 5322 msg-id without its angle brackets, the same on every attempt.
    ``reply_to`` is an address like ``sender``. ``urgent`` says that the notification's priority is HIGH.
    ``thread`` is the provider's identifier of what was sent to this address of the same matter, for providers that can
    add to it. ``references`` are the msg-ids of the matter's first and last mail to this address, oldest first, and
    ``thread_subject`` is the subject of the first message. ``service_id`` is the number of the service that sends it.
    ``attachments`` are there in channels that carry files alone. ``again`` says that it was refused before,
    for the moment. ``original_to`` is who would have had a message that was redirected. ``last_word`` says that it
    tells of its matter's end, with which no new conversation begins. ``offered`` is the link that it ends with in a
    chat, where a person is to acknowledge it.
    """

    delivery_id: str
    channel: Channel
    address: str
    sender: str
    subject: str | None
    text: str
    html: str | None = None
    message_id: str
    reply_to: str | None = None
    urgent: bool = False
    thread: str | None = None
    thread_subject: str | None = None
    references: tuple[str, ...] = ()
    service_id: int | None = None
    attachments: tuple[Attachment, ...] = ()
    again: bool = False
    original_to: str | None = None
    last_word: bool = False
    offered: OfferedLink | None = None

    def __repr__(self) -> str:
        """Name the delivery alone: an address can be a secret URL, and the content belongs to its readers."""
        return f"Message(delivery_id={self.delivery_id!r}, channel={self.channel.value!r})"


class Receipt(msgspec.Struct, frozen=True):
    """The provider's acceptance: its own identifier for the message, if it gives one, and its answer.

    ``segments`` counts the parts that a text message was sent in. ``thread`` is what later messages of the same matter
    are added to, where the provider can do so, ``message_id`` the msg-id that it sent a mail with in place of ours.
    """

    provider_message_id: str | None
    detail: str
    segments: int | None = None
    thread: str | None = None
    message_id: str | None = None


class ProviderError(Exception):
    """A message was not accepted, or may not have been.

    ``outcome`` is never ``ACCEPTED``. ``detail`` is the provider's answer in readable form, ``code`` its most
    exact code. ``retry_after`` is in seconds. ``scope`` says what the refusal is about: a throttled Slack channel or a
    country that the account may not send to concerns the recipient alone. ``bad_address`` says that the provider
    named the address as one that will never take a message. None of them contains a credential.
    """

    def __init__(  # noqa: PLR0913 - each says another thing of one failure
        self,
        outcome: Outcome,
        detail: str,
        *,
        code: str | None = None,
        retry_after: float | None = None,
        scope: Scope = Scope.MESSAGE,
        bad_address: bool = False,
    ) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail
        self.code = code
        self.retry_after = retry_after
        self.scope = scope
        self.bad_address = bad_address

    @property
    def route_down(self) -> bool:
        """Whether nothing can be sent over this connection now, so the rest of the work need not be tried on it."""
        return self.scope in WHOLE_ROUTE


class Connection(Protocol):
    """An open way to a provider, for one thread and many messages."""

    def send(self, message: Message) -> Receipt:
        """Hand over one message, or raise ``ProviderError``; the connection stays usable either way."""

    def close(self) -> None:
        """Let go of the connection; never raises."""


@runtime_checkable
class StatusLookup(Protocol):
    """A connection to a provider that can be asked what became of an attempt whose outcome is unknown."""

    def find(self, message: Message) -> Receipt | None:
        """Return the receipt of this message if the provider has it; raise ``ProviderError`` if it cannot say."""


@runtime_checkable
class Bursting(Protocol):
    """A connection that can have several messages under way at once, each over a wire of its own."""

    @property
    def burst(self) -> int:
        """How many messages may be under way at once, now."""

    def send_all(self, messages: Sequence[Message]) -> Iterator[Receipt | ProviderError | None]:
        """Hand over up to ``burst`` messages and yield what came of each, in their order.

        Yields ``None`` before it waits for longer than a moment, so that what is known can be written down. Ends
        early where the rest has not been begun, because the first could not be.
        """


class Provider(Protocol):
    """A configured provider.

    ``name`` tells it from the others of its channel and holds no secret; it begins with the provider's kind, as in
    ``twilio://…``.
    """

    name: str
    channel: Channel

    def open(self) -> Connection:
        """Return a connection for one thread; the network is first used when a message is sent."""

    def describe(self) -> str:
        """Return one line for operators, without secrets."""


@runtime_checkable
class Probed(Protocol):
    """A provider that can be asked whether it would take messages, without sending one."""

    def probe(self, sender: str) -> datetime | None:
        """Sign in for a sender; return when the provider's certificate ends, or raise ``ProviderError``."""


@runtime_checkable
class Paced(Protocol):
    """A provider that takes only so many messages a second for one address, whatever the others get."""

    def interval(self, address: str) -> float | None:
        """Return the seconds between two messages to this address; None where only all of them together count."""


@runtime_checkable
class RefusingEqual(Protocol):
    """A provider whose networks refuse an equal text to one number for so many seconds; 0 where they do not."""

    equal_within: int


@runtime_checkable
class Repeatable(Protocol):
    """A provider to which a message may be given again when nobody knows whether it was taken.

    Its readers, or the provider itself, can tell by the message's identity that the second is the first again.
    """

    repeatable: Literal[True]


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What a register says of a message: which ``holder`` has begun on it, on which machine, and what came of it."""

    holder: str
    machine: str
    receipt: Receipt | None


class Register(Protocol):
    """What the providers of all machines know of each other's messages; what cannot be asked raises ``OSError``."""

    def begin(self, delivery_id: str, holder: str) -> Begun:
        """Say who has begun on a message: ``holder``, unless another has before."""

    def end(self, delivery_id: str, holder: str, location: str, pages: int) -> bool:
        """Write down that it is done; false if another holder has taken it over meanwhile."""

    def unfinished(self, holder: str) -> Sequence[str]:
        """List the messages that a holder has begun a while ago and not ended."""

    def release(self, delivery_id: str, holder: str) -> None:
        """Let others begin on a message that was not done."""


@runtime_checkable
class Keeping(Protocol):
    """A provider whose messages lie in files of this machine."""

    def share(self, register: Register) -> None:
        """Ask this register from now on whether another machine has a message already."""

    def tidy(self, before: datetime) -> int:
        """Delete some of the files that are older, bring the register up to date, and return how many went."""


class ReceiptKind(enum.StrEnum):
    """What a provider says later about a message that it accepted."""

    SENT = "sent"  # handed on towards the address
    DELIVERED = "delivered"  # arrived at the mailbox or the handset
    DELAYED = "delayed"  # not arrived yet; the provider goes on trying
    FAILED = "failed"  # will not arrive; the address itself may be good
    REJECTED = "rejected"  # refused for good, and nobody knows whether for the address: it is counted by days
    BOUNCED = "bounced"  # will not arrive, for the address is bad or has opted out: send nothing more to it
    COMPLAINED = "complained"  # arrived, and its reader does not want such messages: send nothing more to it


class ReceiptEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of news about one message.

    ``provider_message_id`` is the identifier that the provider gave at acceptance. ``event_id`` is the same
    whenever the provider repeats this piece of news. ``at`` is in UTC. ``code`` is the provider's most exact code.
    ``delivery_id`` is our own identifier, where the provider carries it back.
    """

    provider_message_id: str
    kind: ReceiptKind
    event_id: str
    address: str | None = None
    at: datetime | None = None
    code: str | None = None
    detail: str = ""
    delivery_id: str | None = None


class ReceiptRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came to the address for receipts.

    ``url`` is the public one, built from the settings, with the query as it came. Names of ``headers`` are in
    lower case. ``body`` is raw.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class ForgedReceipt(Exception):
    """A request for receipts whose signature is missing, wrong or too old; the text says which."""


@runtime_checkable
class Editing(Protocol):
    """A provider whose posts can be changed after they were sent."""

    name: str

    def edit(self, post: str, text: str, blocks: Sequence[Mapping[str, Any]]) -> None:
        """Let a post, by the provider's identifier, show something else; raise ``ProviderError``."""

    def answered(self, message: Message, sentence: str) -> tuple[str, Sequence[Mapping[str, Any]]]:
        """Return text and blocks of a message's post that says who answered, and asks nobody any more."""


@runtime_checkable
class Receiving(Protocol):
    """A provider that reports later what became of its messages."""

    def receipts(self, request: ReceiptRequest) -> list[ReceiptEvent]:
        """Verify the request, then read its news; raise ``ForgedReceipt`` if it cannot be from the provider."""
