"""Amazon SES (v2): SendEmail, whose signature is worked out anew here, and messages of SNS with a certificate."""

import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from urllib.parse import quote

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from backend.channels.base import ReceiptRequest
from tests.vendors.http_server import Refusal, Reply, Seen, VendorServer

KEY_ID = "AKIDEXAMPLE"
SECRET = "hunter2/:@ %"
REGION = "eu-west-1"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:carillon"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
CONFIRMATION = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=x&Token=y"


class _Strict(msgspec.Struct, forbid_unknown_fields=True, rename="pascal"):
    pass


class _Destination(_Strict):
    to_addresses: list[str]


class _Raw(_Strict):
    data: str


class _Content(_Strict):
    raw: _Raw


class _Tag(_Strict):
    name: str
    value: str


class SendEmail(_Strict):
    """The members of a request that a raw message needs."""

    destination: _Destination
    content: _Content
    from_email_address: str | None = None
    reply_to_addresses: list[str] = []
    email_tags: list[_Tag] = []
    configuration_set_name: str | None = None

    @property
    def mail(self) -> EmailMessage:
        """The mail itself."""
        return message_from_bytes(b64decode(self.content.raw.data, validate=True), policy=policy.default)


class SesServer(VendorServer):
    """One account in one region."""

    def __init__(self) -> None:
        super().__init__()
        options = f"scheme=http&endpoint={self.http.host_port}&topic={TOPIC}"
        self.address = f"ses://{KEY_ID}:{quote(SECRET, safe='')}@{REGION}?{options}"

    def read(self, seen: Seen) -> tuple[str, Any]:
        if seen.path != "/v2/email/outbound-emails" or seen.method != "POST":
            raise Refusal(self.error(404, "UnknownOperationException"))
        if seen.headers.get("authorization") != _authorization(seen):
            words = "The request signature we calculated does not match the signature you provided."
            raise Refusal(self.error(403, "InvalidSignatureException", words))
        try:
            mail = msgspec.json.decode(seen.body, type=SendEmail)
        except msgspec.ValidationError as fault:
            raise Refusal(self.error(400, "BadRequestException", str(fault))) from None
        if mail.configuration_set_name not in (None, "watched"):
            words = "Configuration set <x> does not exist."
            raise Refusal(self.error(404, "NotFoundException", words))
        return mail.destination.to_addresses[0], mail

    def accept(self) -> Reply:
        return Reply(200, {"MessageId": f"0100ses-{len(self.taken)}-000000"})

    def error(self, status: int, code: str = "", words: str = "") -> Reply:
        kind = f"{code or 'BadRequestException'}:http://internal.amazon.com/coral/com.amazon.ses/"
        return Reply(status, {"message": words}, {"x-amzn-ErrorType": kind, "x-amzn-RequestId": "r"})

    def refuse(self, recipient: str) -> None:
        """Refuse a recipient for good."""
        self.refusals[recipient] = self.error(400, "MessageRejected", "Address blacklisted.")

    def put_off(self, recipient: str) -> None:
        """Refuse a recipient once, for a moment."""
        self.scripted[recipient] = [self.error(408, "RequestTimeoutException", "come again")]


def _authorization(seen: Seen) -> str:
    """Return the Authorization that Signature Version 4 demands of this request."""
    given = seen.headers.get("authorization", "")
    signed = given.partition("SignedHeaders=")[2].partition(",")[0]
    if not {"host", "x-amz-date"} <= set(signed.split(";")):
        return "unsigned"
    stamp = seen.headers["x-amz-date"]
    scope = f"{stamp[:8]}/{REGION}/ses/aws4_request"
    fields = "".join(f"{name}:{seen.headers[name].strip()}\n" for name in signed.split(";"))
    canonical = "\n".join([seen.method, seen.path, seen.query, fields, signed, hashlib.sha256(seen.body).hexdigest()])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={signed}, Signature={signature}"


class Sns:
    """SNS with a certificate of its own; ``fetched`` lists what was asked of it."""

    def __init__(self, now: datetime | None = None) -> None:
        moment = now or datetime.now(UTC)
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(moment - timedelta(days=1))
            .not_valid_after(moment + timedelta(days=365))
            .sign(self.key, SHA256())
        )
        self.certificate = certificate.public_bytes(Encoding.PEM)
        self.fetched: list[str] = []

    def get(self, url: str) -> bytes:
        """Answer a request for the certificate or a visit to a confirmation's address."""
        self.fetched.append(url)
        return self.certificate if url.endswith(".pem") else b"<ConfirmSubscriptionResponse/>"

    def notification(self, event: dict[str, Any], **changes: str) -> dict[str, str]:
        """Return a signed message that carries an event."""
        return self.signed(
            {
                "Type": "Notification",
                "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
                "TopicArn": TOPIC,
                "Message": json.dumps(event),
                "Timestamp": "2026-03-02T09:00:00.000Z",
            }
            | changes
        )

    def confirmation(self, **changes: str) -> dict[str, str]:
        """Return a signed request for confirmation."""
        return self.signed(
            {
                "Type": "SubscriptionConfirmation",
                "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
                "Token": "2336412f37f",
                "TopicArn": TOPIC,
                "Message": "You have chosen to subscribe to the topic.",
                "SubscribeURL": CONFIRMATION,
                "Timestamp": "2026-03-02T09:00:00.000Z",
            }
            | changes
        )

    def signed(self, message: dict[str, str]) -> dict[str, str]:
        """Return a message with its signature of version 2."""
        text = "".join(f"{name}\n{message[name]}\n" for name in sorted(message))
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), SHA256())
        return message | {
            "SignatureVersion": "2",
            "Signature": b64encode(signature).decode(),
            "SigningCertURL": CERTIFICATE,
        }


def posted(message: dict[str, Any]) -> ReceiptRequest:
    """Return a message as SNS posts it."""
    return ReceiptRequest(
        method="POST",
        url="https://carillon.example/receipts/ses",
        headers={"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": message.get("Type", "")},
        body=json.dumps(message).encode(),
    )
