"""Text messages over Plivo: its Message interface and its status callbacks."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, urlsplit

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

_LIMITS = Limits(gsm=1600, ucs=737)
# Plivo has no codes at sending; only what its statuses mean otherwise than elsewhere.
_CODES = Codes(outcomes={"404": Outcome.PERMANENT})
_KINDS = {
    "sent": ReceiptKind.SENT,
    "delivered": ReceiptKind.DELIVERED,
    "failed": ReceiptKind.FAILED,
    "undelivered": ReceiptKind.FAILED,
    "rejected": ReceiptKind.FAILED,
}
_ID_LENGTH = 200
_BAD_ADDRESSES = frozenset({"50"})  # the destination is not a number that can be reached


class _Answer(msgspec.Struct):
    """What Plivo answers: the identifiers of what it took (202), or an error."""

    message: str | None = None
    message_uuid: list[str] = []
    error: str | dict[str, object] | None = None


class PlivoProvider:
    """An account, given as ``plivo://AUTH_ID:AUTH_TOKEN@api.plivo.com?from=%2B447700900123``.

    ``powerpack`` (its UUID) may stand in place of ``from``. Raises ``ValueError`` without a secret.
    """

    channel = Channel.SMS

    def __init__(self, address: str, timeout: float = http_outcomes.TIMEOUT) -> None:
        parts = parse(address, {"from", "powerpack", "equal_within", "scheme"})
        user, token = required(parts.user, "an auth id"), required(parts.password, "an auth token")
        self._account = HttpAccount(
            base=base_address(parts), authorization=basic(user, token), secrets=(token,), timeout=timeout
        )
        self._path = f"/v1/Account/{quote(user, safe='')}/Message/"
        self.equal_within = sms_text.equal_within(parts.options)
        self._sender = sms_text.sender(parts.options, "powerpack", ("src", "powerpack_uuid"))
        self._key = token.encode()
        self.name = provider_name("plivo", host_port(parts.host, parts.port), user, *self._sender)

    def __repr__(self) -> str:
        return f"PlivoProvider({self.name!r})"

    def open(self) -> "PlivoConnection":
        """Return a connection for one thread."""
        return PlivoConnection(self._account, self._path, self._sender)

    def describe(self) -> str:
        """Return one line for operators, without secrets."""
        return f"{self.name} {self._sender[0]} {self._sender[1]}"

    def receipts(self, request: ReceiptRequest) -> list[ReceiptEvent]:
        """Verify a status callback and read it; raise ``ForgedReceipt``."""
        try:
            fields = sms_text.form(request.body) if request.method == "POST" else []
            query = parse_qsl(urlsplit(request.url).query, keep_blank_values=True, max_num_fields=50)
        except ValueError:
            raise ForgedReceipt("the body is not a form") from None
        query_is_signed = _verify(self._key, request, fields, query)
        news = dict(fields) if request.method == "POST" else dict(query)
        identifier, status = news.get("MessageUUID", ""), news.get("Status", "").lower()
        kind = _KINDS.get(status)
        if not identifier or kind is None:
            return []
        code = news.get("ErrorCode") or None
        if kind is ReceiptKind.FAILED and code in _BAD_ADDRESSES:
            kind = ReceiptKind.BOUNCED
        number = news.get("To", "").strip().removeprefix("+")
        return [
            ReceiptEvent(
                provider_message_id=identifier,
                kind=kind,
                event_id=f"{identifier}:{status}",
                address=f"+{number}" if number else None,
                code=code,
                detail=f"{status} ({code})" if code not in (None, "000") else status,
                # A signature of the second version leaves the query out, so that anybody may have changed it.
                delivery_id=sms_text.delivery_id(request.url) if query_is_signed else None,
            )
        ]


class PlivoConnection:
    """The way to an account; its connections are those of the thread."""

    def __init__(self, account: HttpAccount, path: str, sender: tuple[str, str]) -> None:
        self._account = account
        self._path = path
        self._sender = sender

    def send(self, message: Message) -> Receipt:
        """Send one message. Raises ``ProviderError``."""
        sms = sms_text.prepared(message, _LIMITS)
        fields = {self._sender[0]: self._sender[1], "dst": sms.number, "text": sms.text, "type": "sms"}
        callback = receipt_url("plivo", delivery_id=message.delivery_id)
        if callback is not None:
            fields |= {"url": callback, "method": "POST"}
        answer = self._account.call("POST", self._path, msgspec.json.encode(fields))
        read = http_outcomes.decoded(answer, _Answer) or _Answer()
        if not http_outcomes.is_accepted(answer):
            words = read.error if isinstance(read.error, str) else read.message or ""
            raise http_outcomes.refused(answer, words, codes=_CODES, secrets=self._account.secrets)
        if not read.message_uuid or not read.message_uuid[0]:
            raise http_outcomes.unreadable(answer)
        count = sms.segments.parts
        return Receipt(read.message_uuid[0][:_ID_LENGTH], f"queued, {count} segment{'s' if count != 1 else ''}", count)

    def close(self) -> None:
        """Do nothing: the connections belong to the thread."""


_Fields = list[tuple[str, str]]


def _verify(key: bytes, request: ReceiptRequest, fields: _Fields, query: _Fields) -> bool:
    """Check the signature, of the third version where its headers are there, else of the second.

    Returns whether what was signed includes the query. Raises ``ForgedReceipt``.
    """
    headers = request.headers
    third = _given(headers.get("x-plivo-signature-v3"), headers.get("x-plivo-signature-ma-v3"))
    bare = urlsplit(request.url)._replace(query="", fragment="").geturl()
    if third or "x-plivo-signature-v3-nonce" in headers:
        nonce = headers.get("x-plivo-signature-v3-nonce", "")
        given, text = third, f"{_third(bare, fields, query)}.{nonce}"
    else:
        nonce = headers.get("x-plivo-signature-v2-nonce", "")
        given = _given(headers.get("x-plivo-signature-v2"), headers.get("x-plivo-signature-ma-v2"))
        text = bare + nonce
    wanted = b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest())
    if not nonce or not any(hmac.compare_digest(wanted, one.encode()) for one in given):
        raise ForgedReceipt("the signature is missing or wrong")
    return bool(third)


def _given(*headers: str | None) -> list[str]:
    return [one.strip() for header in headers if header for one in header.split(",") if one.strip()]


def _third(bare: str, fields: Iterable[tuple[str, str]], query: Iterable[tuple[str, str]]) -> str:
    """Return what a signature of the third version is made over, but for the nonce."""
    asked = "&".join(f"{name}={value}" for name, value in sorted(query))
    posted = "".join(name + value for name, value in sorted(fields))
    mark = "?" if asked or posted else ""
    return f"{bare}{mark}{asked}{'.' if asked and posted else ''}{posted}"
