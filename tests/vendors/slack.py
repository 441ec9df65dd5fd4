"""Slack's chat.postMessage, chat.update and its incoming webhooks, by the published method and block references."""

from typing import Any
from urllib.parse import quote

from tests.vendors.http_server import HttpServer, Refusal, Reply, Seen, VendorServer

CHANNEL = "C0123456789"
TOKEN = "xoxb-hunter2/:@ %"
_METHODS = {
    "/api/chat.postMessage": {"channel", "text", "blocks", "thread_ts", "unfurl_links", "unfurl_media"},
    "/api/chat.update": {"channel", "ts", "text", "blocks"},
}


class SlackServer(VendorServer):
    """A workspace in which every channel is there and the bot is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.posts: dict[str, dict[str, Any]] = {}
        self.address = f"slack://{quote(TOKEN, safe='')}@{self.http.host_port}?scheme=http"

    def read(self, seen: Seen) -> tuple[str, Any]:
        if seen.method != "POST" or seen.path not in _METHODS:
            raise Refusal(Reply(404, b"not found"))
        if seen.headers.get("authorization") != f"Bearer {TOKEN}":
            raise Refusal(self.error(200, "invalid_auth"))
        if not seen.headers["content-type"].startswith("application/json"):
            raise Refusal(self.error(200, "invalid_post_type"))
        body = seen.json()
        if not set(body) <= _METHODS[seen.path] or not body["text"]:
            raise Refusal(self.error(200, "no_text"))
        if fault := blocks_fault(body["blocks"]):
            raise Refusal(self.error(200, fault))
        if (thread := body.get("thread_ts")) is not None and thread not in self.posts:
            raise Refusal(self.error(200, "thread_not_found"))
        if "ts" in body and (body["channel"], body["ts"] in self.posts) != (CHANNEL, True):
            raise Refusal(self.error(200, "message_not_found"))
        return body["channel"], body

    def accept(self) -> Reply:
        body = self.taken[-1]
        ts = body.get("ts") or f"1769000000.{len(self.taken):06}"
        self.posts[ts] = self.posts.get(ts, {}) | body
        return Reply(200, {"ok": True, "channel": CHANNEL, "ts": ts, "message": {"type": "message"}})

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
        if block["type"] in {"actions", "context"}:
            if not _elements_fit(block):
                return "invalid_blocks_format"
            continue
        if shape not in {("header", "plain_text"), ("section", "mrkdwn"), ("divider", None)}:
            return "invalid_blocks_format"
        limit = 150 if block["type"] == "header" else 3000
        if block["type"] != "divider" and not 1 <= len(text["text"]) <= limit:
            return "invalid_blocks"
    return "msg_blocks_too_long" if len(str(blocks)) > 11_000 else ""


def _elements_fit(block: dict[str, Any]) -> bool:
    """Tell whether buttons and lines of context are as the block reference has them."""
    if len(block.get("block_id", "")) > 255 or not 1 <= len(block["elements"]) <= 10:
        return False
    for one in block["elements"]:
        if block["type"] == "context":
            if one["type"] != "mrkdwn" or not 1 <= len(one["text"]) <= 2000:
                return False
            continue
        text = one.get("text", {})
        if one["type"] != "button" or text.get("type") != "plain_text" or len(text["text"]) > 75:
            return False
        if len(one["action_id"]) > 255 or len(one.get("value", "")) > 2000 or one.get("style") == "default":
            return False
    return True


def pressed(post: dict[str, Any], channel: str, ts: str, name: str = "ada") -> dict[str, Any]:
    """Return what Slack posts when somebody presses the button of a post."""
    (button,) = next(block for block in post["blocks"] if block["type"] == "actions")["elements"]
    return {
        "type": "block_actions",
        "user": {"id": "U0ADA", "username": name, "name": name, "team_id": "T0123"},
        "api_app_id": "A0123",
        "container": {"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": False},
        "trigger_id": "12345.98765.abcd",
        "team": {"id": "T0123", "domain": "lab"},
        "channel": {"id": channel, "name": "duty"},
        "message": {"type": "message", "bot_id": "B0123", "text": post["text"], "ts": ts, "blocks": post["blocks"]},
        "response_url": "https://hooks.slack.com/actions/T0123/1/abc",
        "actions": [{**button, "block_id": button["action_id"], "type": "button", "action_ts": ts}],
    }


class Webhook(HttpServer):
    """An address that is itself the way: it answers what it is told, and keeps what came."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(lambda _seen: self.reply)
        self.reply = reply
        self.url = f"http://{self.host_port}/services/T0123/B0123/hunter2secret"
