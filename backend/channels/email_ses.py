"""E-mail over Amazon SES: its interface of version 2, signed with Signature Version 4, and its events over SNS."""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from importlib import import_module

import msgspec

from backend.channels import http_outcomes, mime, ses_events
from backend.channels.attachments import more_seconds
from backend.channels.base import (
    Channel,
    ForgedReceipt,
    Message,
    Outcome,
    ProviderError,
    Receipt,
    ReceiptEvent,
    ReceiptRequest,
)
from backend.channels.http_outcomes import Codes
from backend.channels.provider_address import (
    ProviderAddress,
    base_address,
    is_loopback,
    parse,
    provider_name,
    required,
)
from backend.channels.sns import Fetch, Topic
from backend.lib import clock
from backend.lib.mailboxes import mailbox
from backend.lib.outbound import Answer

_PATH = "/v2/email/outbound-emails"
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_QUOTA_PAUSE = 600.0  # seconds to wait when the day's messages are used up
_OUTCOMES = {
    "TooManyRequestsException": Outcome.THROTTLED,
    "ThrottlingException": Outcome.THROTTLED,
    "Throttling": Outcome.THROTTLED,
    "LimitExceededException": Outcome.THROTTLED,
    "AccountSuspendedException": Outcome.CONFIG,
    "SendingPausedException": Outcome.CONFIG,
    "MailFromDomainNotVerifiedException": Outcome.CONFIG,
    "NotFoundException": Outcome.CONFIG,  # the configuration set is not there
    # Of the signature: the credentials are wrong, or our clock is.
    "IncompleteSignature": Outcome.CONFIG,
    "InvalidSignatureException": Outcome.CONFIG,
    "SignatureDoesNotMatch": Outcome.CONFIG,
    "UnrecognizedClientException": Outcome.CONFIG,
    "InvalidClientTokenId": Outcome.CONFIG,
    "ExpiredTokenException": Outcome.CONFIG,
    "RequestExpired": Outcome.CONFIG,
    "MessageRejected": Outcome.PERMANENT,
    "BadRequestException": Outcome.PERMANENT,
}
_CODES = Codes(outcomes=_OUTCOMES)


class _Answer(msgspec.Struct):
    """What SES answers: the identifier of a message, or an error."""

    identifier: str | None = msgspec.field(default=None, name="MessageId")
    message: str | None = None
    capital_message: str | None = msgspec.field(default=None, name="Message")
    type: str | None = msgspec.field(default=None, name="__type")


class SesProvider:
    """An account in a region, given as ``ses://KEY_ID:SECRET@eu-west-1?configuration_set=NAME&topic=ARN``.

    ``topic`` is the SNS topic whose messages are believed. ``endpoint`` (``host`` or ``host:port``) stands for
    Amazon's own; a loopback host may stand in place of the region, which ``region`` then names. Raises ``ValueError``
    without a secret.
    """

    channel = Channel.EMAIL

    def __init__(self, address: str, timeout: float = http_outcomes.TIMEOUT, get: Fetch | None = None) -> None:
        parts = parse(address, {"scheme", "endpoint", "region", "configuration_set", "topic"})
        options = parts.options
        key_id, secret = required(parts.user, "an access key id"), required(parts.password, "a secret access key")
        region, base = _where(parts)
        if not _NAME.fullmatch(options.get("configuration_set", "none")):
            raise ValueError("the option configuration_set is a name of letters, digits, dashes and underscores")
        signature = import_module("backend.channels.ses_signature")  # with Amazon's package, which no other needs
        self._account = _SesAccount(base, region, signature.Signer(key_id, secret, region).headers, secret, timeout)
        self._configuration_set = options.get("configuration_set")
        self._topic = Topic(options["topic"], get) if "topic" in options else None
        where = region if base.endswith((".amazonaws.com", ".amazonaws.com.cn")) else base.partition("://")[2]
        self.name = provider_name("ses", where, key_id, region, self._configuration_set or "")

    def __repr__(self) -> str:
        return f"SesProvider({self.name!r})"

    def open(self) -> "SesConnection":
        """Return a connection for one thread."""
        return SesConnection(self._account, self._configuration_set)

    def describe(self) -> str:
        """Return one line for operators, without secrets."""
        return f"{self.name}, {'with' if self._topic else 'without'} events from SNS"

    def receipts(self, request: ReceiptRequest) -> list[ReceiptEvent]:
        """Verify a message of SNS and read its news, or confirm the subscription; raise ``ForgedReceipt``."""
        if self._topic is None:
            raise ForgedReceipt("the provider's address has no topic")
        message = self._topic.verified(request.body)
        if message.type == "SubscriptionConfirmation":
            self._topic.confirm(message)
        if message.type != "Notification":
            return []
        return ses_events.read(message.message_id, message.message)


class SesConnection:
    """The way to an account; its connections are those of the thread."""

    def __init__(self, account: "_SesAccount", configuration_set: str | None) -> None:
        self._account = account
        self._configuration_set = configuration_set

    def send(self, message: Message) -> Receipt:
        """Send one message. Raises ``ProviderError``."""
        try:
            body = msgspec.json.encode(_mail(message, self._configuration_set))
        except ValueError as fault:
            raise ProviderError(Outcome.PERMANENT, f"the message cannot be sent: {fault}") from None
        answer = self._account.post(body)
        read = http_outcomes.decoded(answer, _Answer) or _Answer()
        if not http_outcomes.is_accepted(answer):
            raise _error(answer, read, self._account.secret)
        if not read.identifier:
            raise http_outcomes.unreadable(answer)
        identifier = read.identifier[:200]
        return Receipt(identifier, f"{answer.status} accepted", message_id=f"{identifier}@{self._account.mail_domain}")

    def close(self) -> None:
        """Do nothing: the connections belong to the thread."""


class _SesAccount(msgspec.Struct, frozen=True):
    """Where and as whom SES is asked."""

    base: str
    region: str
    sign: Callable[[str, bytes], Mapping[str, str]]
    secret: str
    timeout: float

    def __repr__(self) -> str:
        return f"_SesAccount({self.base!r}, {self.region!r})"

    @property
    def mail_domain(self) -> str:
        """Return the domain of the msg-ids that SES writes in place of ours."""
        return "email.amazonses.com" if self.region == "us-east-1" else f"{self.region}.amazonses.com"

    def post(self, body: bytes) -> Answer:
        """Send a signed request; raises ``ProviderError``."""
        url = self.base + _PATH
        headers = self.sign(url, body)
        timeout = self.timeout + more_seconds(len(body))
        return http_outcomes.exchange("POST", url, headers=headers, body=body, timeout=timeout)


def _where(parts: ProviderAddress) -> tuple[str, str]:
    """Return the region and the base address of the interface; raise ``ValueError``."""
    region = parts.options.get("region", "us-east-1" if is_loopback(parts.host) else parts.host)
    if not _REGION.fullmatch(region):
        raise ValueError("its host is not a region such as eu-west-1")
    if "endpoint" in parts.options or is_loopback(parts.host):
        return region, base_address(parts)
    if "region" in parts.options or parts.port is not None:
        raise ValueError("the option region, or a port, is for a loopback host; give the region as the host")
    return region, f"https://email.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _mail(message: Message, configuration_set: str | None) -> dict[str, object]:
    """Return the request for one message; raise ``ValueError`` for what is unfit for a mail.

    The mail is ours as a whole, since SES takes no Message-ID beside a simple content. (It sends its own in the end.)
    """
    raw = mime.build(message, clock.now())
    mail: dict[str, object] = {
        "FromEmailAddress": mailbox(message.sender)[1],
        "Destination": {"ToAddresses": [message.address]},
        "Content": {"Raw": {"Data": b64encode(raw).decode("ascii")}},
        "EmailTags": [{"Name": "delivery_id", "Value": mime.checked(message.delivery_id)}],
    }
    if message.reply_to:
        mail["ReplyToAddresses"] = [mailbox(message.reply_to)[1]]
    if configuration_set:
        mail["ConfigurationSetName"] = configuration_set
    return mail


def _error(answer: Answer, read: _Answer, secret: str) -> ProviderError:
    """Return the error that an answer means; its type is in a header field or in the body, with more around it."""
    kind = answer.headers.get("x-amzn-errortype") or read.type or ""
    code = kind.partition(":")[0].rpartition("#")[2].strip() or None
    words = read.message or read.capital_message or ""
    error = http_outcomes.refused(answer, words, code=code, codes=_CODES, secrets=(secret,))
    if error.outcome is Outcome.THROTTLED and error.retry_after is None and "quota" in words.lower():
        error.retry_after = _QUOTA_PAUSE
    return error
