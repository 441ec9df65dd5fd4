"""Twilio's Messages resource (2010-04-01) and the signatures of its callbacks, by its published description."""

import hashlib
import hmac
from base64 import b64decode, b64encode
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from backend.channels.base import ReceiptRequest
from tests.vendors.http_server import Refusal, Reply, Seen, VendorServer

SID = "AC0123456789abcdef0123456789abcdef"
TOKEN = "hunter2/:@ %"
SENDER = "+447700900999"
_FIELDS = {"To", "From", "MessagingServiceSid", "Body", "StatusCallback", "ValidityPeriod"}


class TwilioServer(VendorServer):
    """One account with one sender."""

    def __init__(self) -> None:
        super().__init__()
        self.address = self.address_with("from=%2B447700900999")

    def address_with(self, options: str) -> str:
        """Return the provider's address with these options."""
        return f"twilio://{SID}:{quote(TOKEN, safe='')}@{self.http.host_port}?scheme=http&{options}"

    def read(self, seen: Seen) -> tuple[str, Any]:
        if seen.path != f"/2010-04-01/Accounts/{SID}/Messages.json" or seen.method != "POST":
            raise Refusal(self.error(404, "20404", "The requested resource was not found"))
        scheme, _, credentials = seen.headers.get("authorization", "").partition(" ")
        if scheme != "Basic" or b64decode(credentials).decode() != f"{SID}:{TOKEN}":
            raise Refusal(self.error(401, "20003", "Authenticate"))
        if seen.headers["content-type"] != "application/x-www-form-urlencoded":
            raise Refusal(self.error(400, "21604", "A 'To' phone number is required."))
        pairs = parse_qsl(seen.body.decode(), strict_parsing=True)
        form = dict(pairs)
        if len(pairs) != len(form) or not set(form) <= _FIELDS or ("From" in form) == ("MessagingServiceSid" in form):
            raise Refusal(self.error(400, "21603", "A 'From' phone number is required."))
        if form.get("From", SENDER) != SENDER:
            raise Refusal(self.error(400, "21606", "The 'From' phone number is not valid."))
        if not form["To"].startswith("+") or not 1 <= len(form["Body"]) <= 1600:
            raise Refusal(self.error(400, "21617", "The concatenated message body exceeds 1600 characters."))
        return form["To"], form

    def accept(self) -> Reply:
        message = self.taken[-1]
        sid = f"SM{len(self.taken):032x}"
        through_service = "MessagingServiceSid" in message
        return Reply(
            201,
            {
                "account_sid": SID,
                "api_version": "2010-04-01",
                "body": message["Body"],
                "date_created": "Mon, 02 Mar 2026 09:00:00 +0000",
                "direction": "outbound-api",
                "error_code": None,
                "error_message": None,
                "from": message.get("From"),
                "messaging_service_sid": message.get("MessagingServiceSid"),
                "num_media": "0",
                "num_segments": "0" if through_service else "1",
                "price": None,
                "sid": sid,
                "status": "accepted" if through_service else "queued",
                "to": message["To"],
                "uri": f"/2010-04-01/Accounts/{SID}/Messages/{sid}.json",
            },
        )

    def error(self, status: int, code: str = "", words: str = "") -> Reply:
        number = int(code or 20000 + status)
        more = f"https://www.twilio.com/docs/errors/{number}"
        return Reply(status, {"code": number, "message": words, "more_info": more, "status": status})

    def refuse(self, recipient: str) -> None:
        """Refuse a number as one that cannot get text messages."""
        self.refusals[recipient] = self.error(400, "21614", f"'To' number {recipient} is not a valid mobile number")


def callback(url: str, token: str = TOKEN, **fields: str) -> ReceiptRequest:
    """Return a status callback as Twilio posts and signs it."""
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    signature = b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()
    headers = {"x-twilio-signature": signature, "content-type": "application/x-www-form-urlencoded"}
    return ReceiptRequest(method="POST", url=url, headers=headers, body=urlencode(fields).encode())
