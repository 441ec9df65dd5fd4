"""Slack's chat.postMessage and its incoming webhooks, by the published method and block references."""

from typing import Any
from urllib.parse import quote

from tests.vendors.http_server import HttpServer, Refusal, Reply, Seen, VendorServer

TOKEN = "xoxb-hunter2/:@ %"
_MEMBERS = {"channel", "text", "blocks", "thread_ts", "unfurl_links", "unfurl_media"}


class SlackServer(VendorServer):
    """A workspace in which every channel is there and the bot is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.address = f"slack://{quote(TOKEN, safe='')}@{self.http.place}?scheme=http"

    def read(self, seen: Seen) -> tuple[str, Any]:
        if (seen.method, seen.path) != ("POST", "/api/chat.postMessage"):
            raise Refusal(Reply(404, b"not found"))
        if seen.headers.get("authorization") != f"Bearer {TOKEN}":
            raise Refusal(self.error(200, "invalid_auth"))
        if not seen.headers["content-type"].startswith("application/json"):
            raise Refusal(self.error(200, "invalid_post_type"))
        body = seen.json()
        if not set(body) <= _MEMBERS or not body["text"]:
            raise Refusal(self.error(200, "no_text"))
        if fault := blocks_fault(body["blocks"]):
            raise Refusal(self.error(200, fault))
        return body["channel"], body

    def accept(self) -> Reply:
        ts = f"1769000000.{len(self.taken):06}"
        return Reply(200, {"ok": True, "channel": "C0123456789", "ts": ts, "message": {"type": "message"}})

    def error(self, status: int, code: str = "", words: str = "") -> Reply:  # noqa: ARG002 - it says nothing in words
        if status == 408:
            return Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "7"})
        return Reply(200, {"ok": False, "error": code or "channel_not_found"})


def blocks_fault(blocks: list[dict[str, Any]]) -> str:
    """Return Slack's error for blocks over its limits or of another shape; empty if there is none."""
    if not 1 <= len(blocks) <= 50:
        return "invalid_blocks"
    for block in blocks:
        text = block.get("text", {})
        shape = (block["type"], text.get("type"))
        if shape not in {("header", "plain_text"), ("section", "mrkdwn"), ("divider", None)}:
            return "invalid_blocks_format"
        limit = 150 if block["type"] == "header" else 3000
        if block["type"] != "divider" and not 1 <= len(text["text"]) <= limit:
            return "invalid_blocks"
    return "msg_blocks_too_long" if len(str(blocks)) > 11_000 else ""


class Webhook(HttpServer):
    """An address that is itself the way: it answers what it is told, and keeps what came."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(lambda _seen: self.reply)
        self.reply = reply
        self.url = f"http://{self.place}/services/T0123/B0123/hunter2secret"
