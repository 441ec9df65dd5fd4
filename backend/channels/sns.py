"""Amazon SNS over HTTPS: messages whose signature, topic and source are verified before anything in them is believed.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

import re
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from backend.channels.base import ForgedReceipt
from backend.lib import clock, outbound
from backend.lib.outbound import OutboundError

_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:([a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}):[0-9]{12}:[A-Za-z0-9_-]{1,256}", re.ASCII)
_CONFIRMATIONS = ("SubscriptionConfirmation", "UnsubscribeConfirmation")
_TIMEOUT = 10.0  # seconds for a certificate or a confirmation
_CACHED = 16  # certificates; there is one for each region, renewed about once a year

Fetch = Callable[[str], bytes]


class SnsMessage(msgspec.Struct, frozen=True, rename="pascal"):
    """A message as SNS posts it; absent members are empty."""

    type: str = ""
    message_id: str = ""
    topic_arn: str = ""
    message: str = ""
    timestamp: str = ""
    signature_version: str = ""
    signature: str = ""
    signing_cert_url: str = msgspec.field(default="", name="SigningCertURL")
    subject: str | None = None
    token: str = ""
    subscribe_url: str = msgspec.field(default="", name="SubscribeURL")


def region_of(topic: str) -> str:
    """Return the region of a topic's ARN; raise ``ValueError`` if it is none."""
    match = _TOPIC.fullmatch(topic)
    if match is None:
        raise ValueError(
            "the option topic is not the ARN of an SNS topic, such as arn:aws:sns:eu-west-1:123456789012:x"
        )
    return match[1]


def fetch(url: str) -> bytes:
    """Get what lies at an address of SNS; raise ``ForgedReceipt`` if it cannot be had."""
    try:
        answer = outbound.request("GET", url, headers={}, body=None, timeout=_TIMEOUT, guarded=True)
    except OutboundError as fault:
        raise ForgedReceipt(f"it cannot be verified now: {fault.reason}") from None
    if answer.status != 200 or not answer.complete:
        raise ForgedReceipt(f"it cannot be verified now: SNS answered {answer.status}")
    return answer.body


class Topic:
    """A topic whose messages are verified; ``get`` fetches certificates and confirms the subscription."""

    def __init__(self, arn: str, get: Fetch | None = None) -> None:
        self._arn = arn
        region = region_of(arn)
        # China's regions are a partition of their own, with hosts of their own.
        self._host = f"sns.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
        self._get = get or fetch
        self._known: OrderedDict[str, x509.Certificate] = OrderedDict()
        self._lock = Lock()

    def verified(self, body: bytes) -> SnsMessage:
        """Return a notification that is from our topic, signed with SHA-256 by SNS; raise ``ForgedReceipt``."""
        try:
            message = msgspec.json.decode(body, type=SnsMessage)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ForgedReceipt("the body is not a message of SNS") from None
        if message.topic_arn != self._arn:
            raise ForgedReceipt("it is from another topic")
        if message.signature_version != "2":
            raise ForgedReceipt("its SignatureVersion is not 2; set the topic's attribute SignatureVersion to 2")
        if message.type != "Notification" and message.type not in _CONFIRMATIONS:
            raise ForgedReceipt("it is of an unknown type")
        if not self._is_of_sns(message.signing_cert_url) or not message.signing_cert_url.endswith(".pem"):
            raise ForgedReceipt("its certificate is not at an address of SNS")
        self._check(message)
        return message

    def confirm(self, message: SnsMessage) -> None:
        """Answer a verified request for confirmation by a visit to its address."""
        if not self._is_of_sns(message.subscribe_url):
            raise ForgedReceipt("its SubscribeURL is not an address of SNS")
        self._get(message.subscribe_url)

    def _is_of_sns(self, url: str) -> bool:
        """Tell whether an address is https on the host of SNS in our topic's region, and no more than that."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        return parts.scheme == "https" and parts.netloc == self._host and url.isascii() and url.isprintable()

    def _check(self, message: SnsMessage) -> None:
        key = self._certificate(message.signing_cert_url).public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise ForgedReceipt("its certificate has no RSA key")
        try:
            key.verify(
                b64decode(message.signature, validate=True), _signed(message).encode(), padding.PKCS1v15(), SHA256()
            )
        except (InvalidSignature, ValueError):
            raise ForgedReceipt("the signature is missing or wrong") from None

    def _certificate(self, url: str) -> x509.Certificate:
        """Return the certificate of an address, fetched once and while it is valid."""
        with self._lock:
            known = self._known.get(url)
        if known is None:
            try:
                known = x509.load_pem_x509_certificate(self._get(url))
            except ValueError:
                raise ForgedReceipt("its certificate cannot be read") from None
        if not known.not_valid_before_utc <= clock.now() <= known.not_valid_after_utc:
            raise ForgedReceipt("its certificate is not valid now")
        with self._lock:
            self._known[url] = known
            if len(self._known) > _CACHED:
                self._known.popitem(last=False)
        return known


def _signed(message: SnsMessage) -> str:
    """Return what is signed: names and values, a line each, the names in the order of their bytes."""
    if message.type in _CONFIRMATIONS:
        pairs: tuple[tuple[str, str | None], ...] = (
            ("Message", message.message),
            ("MessageId", message.message_id),
            ("SubscribeURL", message.subscribe_url),
            ("Timestamp", message.timestamp),
            ("Token", message.token),
            ("TopicArn", message.topic_arn),
            ("Type", message.type),
        )
    else:
        pairs = (
            ("Message", message.message),
            ("MessageId", message.message_id),
            ("Subject", message.subject),
            ("Timestamp", message.timestamp),
            ("TopicArn", message.topic_arn),
            ("Type", message.type),
        )
    return "".join(f"{name}\n{value}\n" for name, value in pairs if value is not None)
