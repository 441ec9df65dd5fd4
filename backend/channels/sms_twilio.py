"""Text messages over Twilio: its Messages interface of 2010-04-01 and its status callbacks."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from backend.channels import http_outcomes, sms_text
from backend.channels.base import (
    Channel,
    ForgedReceipt,
    Message,
    Outcome,
    Receipt,
    ReceiptEvent,
    ReceiptKind,
    ReceiptRequest,
)
from backend.channels.http_account import HttpAccount, basic
from backend.channels.http_outcomes import Codes
from backend.channels.provider_address import base_address, host_port, parse, provider_name, required
from backend.channels.receipt_urls import receipt_url
from backend.channels.sms_text import Limits

_LIMITS = Limits(gsm=1600, ucs=1600)

# Twilio's error codes at sending, where they say more than the status.
_OUTCOMES = {
    "20003": Outcome.CONFIG,  # the credentials are wrong
    "21606": Outcome.CONFIG,  # the sender is not ours or sends no text messages
    "21408": Outcome.CONFIG,  # the account may not send to this country
    "21211": Outcome.PERMANENT,  # not a phone number
    "21635": Outcome.PERMANENT,  # a landline
    "21614": Outcome.PERMANENT,  # not a mobile number
    "21612": Outcome.PERMANENT,  # no way from this sender to this number
    "21617": Outcome.PERMANENT,  # too long
    "21610": Outcome.PERMANENT,  # the recipient has opted out
    "20429": Outcome.THROTTLED,  # too many requests; this one was not processed
    "21611": Outcome.THROTTLED,  # the sender's queue is full
    "30001": Outcome.THROTTLED,  # the account's queue is full
}
_BAD_ADDRESSES = frozenset({"21211", "21614", "21635", "21610", "30005", "30006"})
_CODES = Codes(outcomes=_OUTCOMES, bad_addresses=_BAD_ADDRESSES, one_address=frozenset({"21408"}))
_KINDS = {
    "sending": ReceiptKind.SENT,
    "sent": ReceiptKind.SENT,
    "delivered": ReceiptKind.DELIVERED,
    "read": ReceiptKind.DELIVERED,
    "undelivered": ReceiptKind.FAILED,
    "failed": ReceiptKind.FAILED,
    "canceled": ReceiptKind.FAILED,
}
_ID_LENGTH = 200
_PORTS = {"https": 443, "http": 80}


class _Answer(msgspec.Struct):
    """What Twilio answers: a message (201) or an error."""

    sid: str | None = None
    status: str | int | None = None
    num_segments: str | int | None = None
    code: str | int | None = None
    message: str | None = None


class TwilioProvider:
    """An account, given as ``twilio://SID:TOKEN@api.twilio.com?from=%2B447700900123``.

    ``service`` (the SID of a messaging service) may stand in place of ``from``. With an API key for user and password,
    ``account`` is the account's SID and ``auth_token`` its token, which receipts are signed with. ``webhook_key`` is
    the shared key of signatures with HMAC-SHA256. Raises ``ValueError`` without a secret.
    """

    channel = Channel.SMS

    def __init__(self, address: str, timeout: float = http_outcomes.TIMEOUT) -> None:
        parts = parse(address, {"from", "service", "account", "auth_token", "webhook_key", "equal_within", "scheme"})
        user, secret = required(parts.user, "an account SID"), required(parts.password, "an auth token")
        options = parts.options
        account = options.get("account", user)
        if not (account.isascii() and account.isalnum()):
            raise ValueError("an account SID holds letters and digits only")
        self._account = HttpAccount(
            base=base_address(parts),
            authorization=basic(user, secret),
            secrets=(secret, options.get("auth_token", ""), options.get("webhook_key", "")),
            timeout=timeout,
        )
        self._path = f"/2010-04-01/Accounts/{account}/Messages.json"
        self.equal_within = sms_text.equal_within(options)
        self._sender = sms_text.sender(options, "service", ("From", "MessagingServiceSid"))
        # Signatures of an API key do not exist: without the account's own token no receipt can be verified.
        token = options.get("auth_token", secret if account == user else "")
        self._keys = _Keys(token, options.get("webhook_key", ""))
        self.name = provider_name("twilio", host_port(parts.host, parts.port), user, *self._sender)

    def __repr__(self) -> str:
        return f"TwilioProvider({self.name!r})"

    def open(self) -> "TwilioConnection":
        """Return a connection for one thread."""
        return TwilioConnection(self._account, self._path, self._sender)

    def describe(self) -> str:
        """Return one line for operators, without secrets."""
        return f"{self.name} {self._sender[0]} {self._sender[1]}"

    def receipts(self, request: ReceiptRequest) -> list[ReceiptEvent]:
        """Verify a status callback and read it; raise ``ForgedReceipt``."""
        fields = self._keys.verified(request)
        sid, status = fields.get("MessageSid", ""), fields.get("MessageStatus", "").lower()
        kind = _KINDS.get(status)
        if not sid or kind is None:
            return []
        code = fields.get("ErrorCode") or None
        if kind is ReceiptKind.FAILED and code in _BAD_ADDRESSES:
            kind = ReceiptKind.BOUNCED
        return [
            ReceiptEvent(
                provider_message_id=sid,
                kind=kind,
                event_id=f"{sid}:{status}",
                address=fields.get("To") or None,
                code=code,
                detail=f"{status} ({code})" if code else status,
                delivery_id=sms_text.delivery_id(request.url),
            )
        ]


class TwilioConnection:
    """The way to an account; its connections are those of the thread."""

    def __init__(self, account: HttpAccount, path: str, sender: tuple[str, str]) -> None:
        self._account = account
        self._path = path
        self._sender = sender

    def send(self, message: Message) -> Receipt:
        """Send one message. Raises ``ProviderError``."""
        sms = sms_text.prepared(message, _LIMITS)
        fields = {"To": sms.number, "Body": sms.text, self._sender[0]: self._sender[1]}
        callback = receipt_url("twilio", delivery_id=message.delivery_id)
        if callback is not None:
            fields["StatusCallback"] = callback
        body = urlencode(fields).encode("ascii")
        answer = self._account.call("POST", self._path, body, "application/x-www-form-urlencoded")
        read = http_outcomes.decoded(answer, _Answer) or _Answer()
        if not http_outcomes.is_accepted(answer):
            code = str(read.code) if read.code is not None else None
            secrets = self._account.secrets
            raise http_outcomes.refused(answer, read.message or "", code=code, codes=_CODES, secrets=secrets)
        if not read.sid:
            raise http_outcomes.unreadable(answer)
        # A messaging service has not counted yet when it answers, and says 0.
        counted = str(read.num_segments or "")
        count = int(counted) if counted.isdecimal() and int(counted[:3]) else sms.segments.parts
        return Receipt(
            read.sid[:_ID_LENGTH], f"{read.status or 'accepted'}, {count} segment{'s' if count != 1 else ''}", count
        )

    def close(self) -> None:
        """Do nothing: the connections belong to the thread."""


class _Keys:
    """What callbacks are signed with: the account's token, or a shared key with HMAC-SHA256 if one is set."""

    def __init__(self, token: str, shared: str) -> None:
        self._token = token.encode()
        self._shared = shared.encode()

    def __repr__(self) -> str:
        return "_Keys()"

    def verified(self, request: ReceiptRequest) -> dict[str, str]:
        """Return the fields of a callback whose signature is right; raise ``ForgedReceipt`` for another."""
        headers = request.headers
        key, algorithm = self._token, hashlib.sha1
        if "x-twilio-webhooks-signature-settings" in headers:
            key, algorithm = self._shared, hashlib.sha256
        if not key:
            raise ForgedReceipt("no key is set for signatures of this kind")
        given = headers.get("x-twilio-signature", "")
        query = dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True, max_num_fields=50))
        try:
            fields = [] if "bodySHA256" in query else sms_text.form(request.body)
        except ValueError:
            raise ForgedReceipt("the body is not a form") from None
        signed = "".join(name + value for name, value in sorted(set(fields)))
        for url in _spellings(request.url):
            wanted = b64encode(hmac.new(key, (url + signed).encode(), algorithm).digest())
            if hmac.compare_digest(wanted, given.encode()):
                return _json_fields(request.body, query["bodySHA256"]) if "bodySHA256" in query else dict(fields)
        raise ForgedReceipt("the signature is missing or wrong")


def _json_fields(body: bytes, digest: str) -> dict[str, str]:
    """Return the fields of a body whose digest was part of the signed address."""
    if not hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), digest.lower().encode()):
        raise ForgedReceipt("the body is not the one that was signed")
    try:
        read = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return {name: value for name, value in read.items() if isinstance(value, str)}


def _spellings(url: str) -> Iterator[str]:
    """Yield the address as it is, and with its default port named or left out: Twilio signs either."""
    yield url
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = _PORTS.get(parts.scheme)
    if parts.port is None:
        yield parts._replace(netloc=host_port(host, port)).geturl()
    else:
        yield parts._replace(netloc=host_port(host, None)).geturl()
