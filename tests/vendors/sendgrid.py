"""SendGrid's Mail Send (v3) and its signed event webhook, by its published description."""

import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from backend.channels.base import ReceiptRequest
from backend.lib import clock
from tests.vendors.http_server import Refusal, Reply, Seen, VendorServer

KEY = "SG.hunter2/:@ %"


class _Person(msgspec.Struct, forbid_unknown_fields=True):
    email: str
    name: str | None = None


class _Personalization(msgspec.Struct, forbid_unknown_fields=True):
    to: list[_Person]
    custom_args: dict[str, str] = {}


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    value: str


class _Attachment(msgspec.Struct, forbid_unknown_fields=True):
    content: str
    filename: str
    type: str | None = None
    disposition: str = "attachment"
    content_id: str | None = None


class Mail(msgspec.Struct, forbid_unknown_fields=True, rename={"sender": "from"}):
    """The members of a request that a plain message needs."""

    personalizations: list[_Personalization]
    sender: _Person
    subject: str
    content: list[_Content]
    reply_to: _Person | None = None
    headers: dict[str, str] = {}
    attachments: list[_Attachment] = []


class SendGridServer(VendorServer):
    """One account, whose events are signed with ``key``."""

    def __init__(self) -> None:
        super().__init__()
        self.key = ec.generate_private_key(ec.SECP256R1())
        public = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.address = (
            f"sendgrid://{quote(KEY, safe='')}@{self.http.host_port}?scheme=http"
            f"&webhook_key={quote(b64encode(public), safe='')}"
        )

    def read(self, seen: Seen) -> tuple[str, Any]:
        if seen.path != "/v3/mail/send" or seen.method != "POST":
            raise Refusal(self.error(404, "", "not found"))
        if seen.headers.get("authorization") != f"Bearer {KEY}":
            raise Refusal(self.error(401, "", "The provided authorization grant is invalid, expired, or revoked"))
        try:
            mail = msgspec.json.decode(seen.body, type=Mail)
        except msgspec.ValidationError as fault:
            raise Refusal(self.error(400, "", str(fault))) from None
        kinds = [part.type for part in mail.content]
        if not mail.subject or not kinds or kinds != sorted(kinds, key=["text/plain", "text/html"].index):
            raise Refusal(self.error(400, "content", "The content must be ordered text/plain, text/html."))
        return mail.personalizations[0].to[0].email, mail

    def accept(self) -> Reply:
        return Reply(202, b"", {"X-Message-Id": f"sg-{len(self.taken)}"})

    def error(self, status: int, code: str = "", words: str = "") -> Reply:
        return Reply(status, {"errors": [{"message": words, "field": code or None, "help": None}]})

    def events(self, *events: dict[str, Any], stamp: int | None = None) -> ReceiptRequest:
        """Return a call of the webhook, signed now or at ``stamp``."""
        body = json.dumps(events).encode()
        text = str(int(clock.now().timestamp()) if stamp is None else stamp)
        signature = b64encode(self.key.sign(text.encode() + body, ec.ECDSA(SHA256()))).decode()
        headers = {
            "x-twilio-email-event-webhook-timestamp": text,
            "x-twilio-email-event-webhook-signature": signature,
        }
        url = "https://carillon.example/receipts/sendgrid"
        return ReceiptRequest(method="POST", url=url, headers=headers, body=body)
