"""Plivo's Message resource (v1) and the two signatures of its callbacks, by its published description."""

import hashlib
import hmac
from base64 import b64decode, b64encode
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from backend.channels.base import ReceiptRequest
from tests.vendors.http_server import Refusal, Reply, Seen, VendorServer

AUTH_ID = "MAXXXXXXXXXXXXXXXXXX"
TOKEN = "hunter2/:@ %"
SENDER = "+447700900999"
_FIELDS = {"src", "powerpack_uuid", "dst", "text", "type", "url", "method", "log"}
_API_ID = "db342550-7c9d-11e1-8ea7-12313806be9a"


class PlivoServer(VendorServer):
    """One account with one sender."""

    def __init__(self) -> None:
        super().__init__()
        self.address = self.address_with("from=%2B447700900999")

    def address_with(self, options: str) -> str:
        """Return the provider's address with these options."""
        return f"plivo://{AUTH_ID}:{quote(TOKEN, safe='')}@{self.http.host_port}?scheme=http&{options}"

    def read(self, seen: Seen) -> tuple[str, Any]:
        if seen.path != f"/v1/Account/{AUTH_ID}/Message/" or seen.method != "POST":
            raise Refusal(self.error(404, "", "not found"))
        scheme, _, credentials = seen.headers.get("authorization", "").partition(" ")
        if scheme != "Basic" or b64decode(credentials).decode() != f"{AUTH_ID}:{TOKEN}":
            raise Refusal(Reply(401, b"Could not verify your access level for that URL."))
        body = seen.json()
        if seen.headers["content-type"] != "application/json" or not set(body) <= _FIELDS:
            raise Refusal(self.error(400, "", "unknown parameter"))
        if ("src" in body) == ("powerpack_uuid" in body) or "<" in body["dst"]:
            raise Refusal(self.error(400, "", "src and powerpack both specified"))
        if not 1 <= len(body["text"]) <= 1600:
            raise Refusal(self.error(400, "", "text parameter exceeds 1600 characters"))
        return body["dst"], body

    def accept(self) -> Reply:
        uuid = f"00000000-0000-4000-8000-{len(self.taken):012x}"
        return Reply(202, {"api_id": _API_ID, "message": "message(s) queued", "message_uuid": [uuid]})

    def error(self, status: int, code: str = "", words: str = "") -> Reply:  # noqa: ARG002 - it has no codes
        return Reply(status, {"api_id": _API_ID, "error": words})


def callback_v2(url: str, token: str = TOKEN, **fields: str) -> ReceiptRequest:
    """Return a status callback with a signature of the second version: over the address without its query."""
    bare, nonce = url.partition("?")[0], "12345678901234567890"
    signature = b64encode(hmac.new(token.encode(), (bare + nonce).encode(), hashlib.sha256).digest()).decode()
    headers = {"x-plivo-signature-v2": signature, "x-plivo-signature-v2-nonce": nonce}
    return ReceiptRequest(method="POST", url=url, headers=headers, body=urlencode(fields).encode())


def callback_v3(url: str, token: str = TOKEN, **fields: str) -> ReceiptRequest:
    """Return a status callback with a signature of the third version; the query must be in the order of its names."""
    parts, nonce = urlsplit(url), "05429567804466091622"
    dot = "." if parts.query and fields else ""
    text = f"{parts.scheme}://{parts.netloc}{parts.path}?{parts.query}{dot}"
    text += "".join(f"{name}{fields[name]}" for name in sorted(fields)) + f".{nonce}"
    signature = b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha256).digest()).decode()
    headers = {"x-plivo-signature-v3": f"b3RoZXI=,{signature}", "x-plivo-signature-v3-nonce": nonce}
    return ReceiptRequest(method="POST", url=url, headers=headers, body=urlencode(fields).encode())
